# SPDX-License-Identifier: GPL-2.0
#
# A boot sector that prints B, and then reads and writes through the BIOS in an endless
# loop.  It prints a dot after every 16 rounds, and E after an error.
	.code16
	.globl	_start
_start:	cli
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %ss
	movw	$0x7c00, %sp
	sti
	movb	$'B', %al
	call	say
again:	movb	$0x42, %ah
	call	disk
	movw	$0x4300, %ax
	call	disk
	addw	$64, lba
	incw	round
	testw	$15, round
	jnz	again
	movb	$'.', %al
	call	say
	jmp	again
disk:	movb	$0x80, %dl
	movw	$packet, %si
	int	$0x13
	jc	failed
	ret
failed:	movb	$'E', %al
	call	say
	hlt
	jmp	failed
say:	movw	$0x3f8, %dx
	outb	%al, %dx
	ret
round:	.word	0
	.balign	4
packet:	.byte	16, 0
	.word	64, 0, 0x1000
lba:	.quad	64
	.org	510
	.word	0xaa55
