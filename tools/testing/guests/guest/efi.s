# SPDX-License-Identifier: GPL-2.0
#
# An EFI application that prints the file "text" on the serial port, and
# ends QEMU through the port of isa-debug-exit.
	.globl	_start
_start:	leaq	text(%rip), %rsi
	movl	$end - text, %ecx
	movw	$0x3f8, %dx
	cld
	rep	outsb
done:	movb	$0x10, %al
	outb	%al, $0xf4
	jmp	done
text:	.incbin	"text"
end:
	# A relocatable image has a section of relocations, even if this is empty.
	.section .reloc, "a"
	.long	0, 8
