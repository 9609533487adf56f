# SPDX-License-Identifier: GPL-2.0
#
# An EFI application that prints the file "text" on the serial port, and
# ends QEMU by its debug port.
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
	# An image for any address has relocations, even if it needs none.
	.section .reloc, "a"
	.long	0, 8
