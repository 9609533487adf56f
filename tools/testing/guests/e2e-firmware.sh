# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# The variables are those of e2e.sh; check calls the functions.
# shellcheck disable=SC2154,SC2317
#
# Parts of e2e.sh in which firmware is the driver: resets while SeaBIOS reads
# and writes, and a boot by UEFI.

# A boot sector that prints B, and then reads and writes through the BIOS in an endless
# loop.  It prints a dot after sixteen rounds, and E after an error.
endless_boot_sector() {
	cat >"$tmp/boot.s" <<-'ASM'
		.code16
		.globl _start
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
	ASM
	as --64 -o "$tmp/boot.o" "$tmp/boot.s" &&
		ld -Ttext 0x7c00 --oformat binary -o "$1" "$tmp/boot.o"
}

# said COUNT: that many boots, and I/O since the last one.
said() {
	local i
	for ((i = 0; i < 900; i++)); do
		[[ $(tr -cd B <"$tmp/said") == $(printf 'B%.0s' $(seq "$1")) &&
		   $(tail -c 1 "$tmp/said") == . ]] && return
		sleep 0.1
	done
	echo "not $1 boots with I/O after the last: $(tr -s . <"$tmp/said")"
	return 1
}

resets_under_load() {
	local i
	for i in {1..10}; do
		said "$i" && qmp system_reset >/dev/null || return 1
	done
	said 11
}

no_error() {
	[[ $(<"$tmp/said") != *E* ]]
}

test_resets() {
	local disk=$tmp/mnt/disk
	endless_boot_sector "$disk"
	truncate -s 64M "$disk"
	check "a machine that boots by SeaBIOS" start_machine -machine q35 \
		-serial "file:$tmp/said" -device "vhost-blk-pci,path=$disk,num-queues=4"
	check "ten resets while the BIOS reads and writes" resets_under_load
	check "none of its requests failed" no_error
	check "it ends" stop_machine
	rm "$disk"
}

# efi_disk FILE TEXT: a disk with an EFI application that says TEXT on the
# serial port and leaves QEMU by its debug port.
efi_disk() {
	cat >"$tmp/app.s" <<-ASM
		.globl _start
	_start:	leaq	text(%rip), %rsi
		movw	\$0x3f8, %dx
	next:	lodsb
		testb	%al, %al
		jz	done
		outb	%al, %dx
		jmp	next
	done:	movb	\$0x10, %al
		outb	%al, \$0xf4
		jmp	done
	text:	.asciz	"$2\\n"
		# An image that can be put anywhere has relocations, if none.
		.section .reloc, "a"
		.long	0, 8
	ASM
	as --64 -o "$tmp/app.o" "$tmp/app.s"
	ld -m i386pep --subsystem 10 --image-base 0 -e _start -o "$tmp/app.efi" "$tmp/app.o"
	truncate -s 4M "$1"
	mformat -i "$1" ::
	mmd -i "$1" ::/EFI ::/EFI/BOOT
	mcopy -i "$1" "$tmp/app.efi" ::/EFI/BOOT/BOOTX64.EFI
}

test_uefi() {
	local dir=$tmp/mnt
	efi_disk "$dir/first" "booted from the first disk"
	efi_disk "$dir/second" "booted from the second disk"
	cp /usr/share/OVMF/OVMF_VARS_4M.fd "$tmp/vars"

	uefi_boot() {
		local status=0
		timeout 200 env ${object:+"LD_PRELOAD=$object"} "$qemu" \
			-accel tcg -machine q35 -m 256M -nodefaults -no-user-config \
			-display none -L /usr/share/qemu -no-reboot \
			-drive if=pflash,format=raw,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
			-drive "if=pflash,format=raw,unit=1,file=$tmp/vars" \
			-device isa-debug-exit,iobase=0xf4,iosize=4 -serial "file:$tmp/boot" \
			-device "vhost-blk-pci,path=$dir/first,bootindex=2" \
			-device "vhost-blk-pci,path=$dir/second,bootindex=1" || status=$?
		cat "$tmp/boot"
		# 0x10, as isa-debug-exit makes an exit status of it
		[[ $status == 33 ]] && grep -q '^booted from the second disk$' "$tmp/boot"
	}
	check "UEFI boots the disk with the lowest bootindex" uefi_boot
	rm "$dir/first" "$dir/second"
}
