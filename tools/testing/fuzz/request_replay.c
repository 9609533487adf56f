// SPDX-License-Identifier: GPL-2.0-only
/*
 * Usage: request_replay FILE…
 *
 * Passes files to the fuzzer's entry without libFuzzer: for a debugger, and to
 * measure which lines a corpus reaches.
 */
#include <stdio.h>
#include <stdlib.h>

#include "request_entry.h"

#define MAX_INPUT	(64 << 10)

int main(int argc, char **argv)
{
	u8 *data = malloc(MAX_INPUT);
	int i;

	for (i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "r");
		size_t len;

		if (!f) {
			perror(argv[i]);
			return 1;
		}
		len = fread(data, 1, MAX_INPUT, f);
		fclose(f);
		fuzz_one(data, len);
	}
	free(data);
	return 0;
}
