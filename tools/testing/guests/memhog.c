// SPDX-License-Identifier: GPL-2.0
/*
 * memhog MIB ROUNDS [MICROSECONDS]
 *	Use MIB of memory, which should be more than is available.  In each round every
 *	page is checked and written again, in an order that defeats read-ahead.  A page
 *	must have the data that was written last, so pages that swapping lost, mixed up
 *	or did not update are found.  ROUNDS 0 means until SIGTERM.  After each 16 pages
 *	the program sleeps for MICROSECONDS.
 *
 * Prints a line when all memory has been written, and one after each round.  Exits with
 * 0 if no page was wrong and, unless ROUNDS is 0, all rounds were completed.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	4096
#define WORDS	(PAGE / sizeof(uint64_t))
/* Odd, so i * STEP modulo a power of two has every value once. */
#define STEP	0x9e3779b1u

static atomic_bool stop;

static void on_term(int signal)
{
	(void)signal;
	stop = true;
}

/* Return: the value of word @word of a page after @round; it is never 0. */
static uint64_t content(unsigned int page, unsigned int round, unsigned int word)
{
	return ((uint64_t)page << 32 | round << 10 | word) * 0x9e3779b97f4a7c15u + 1;
}

static void fill(uint64_t *words, unsigned int page, unsigned int round)
{
	for (unsigned int i = 0; i < WORDS; i++)
		words[i] = content(page, round, i);
}

static int check(const uint64_t *words, unsigned int page, unsigned int round)
{
	for (unsigned int i = 0; i < WORDS; i++) {
		if (words[i] != content(page, round, i)) {
			printf("memhog: page %u, round %u, word %u: %016llx, not %016llx\n", page,
			       round, i, (unsigned long long)words[i],
			       (unsigned long long)content(page, round, i));
			return -1;
		}
	}
	return 0;
}

/* Check that each page is of @round - 1, and write it for @round. */
static int go_round(uint64_t *memory, unsigned int pages, unsigned int mask, unsigned int round,
		    unsigned int pause)
{
	unsigned int i, done = 0;

	for (i = 0; i <= mask && !stop; i++) {
		unsigned int page = (i * STEP + round) & mask;
		uint64_t *words = memory + page * WORDS;

		if (page >= pages)
			continue;
		if (round && check(words, page, round - 1))
			return -1;
		fill(words, page, round);
		if (pause && !(++done & 15))
			usleep(pause);
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned int pages, mask = 1, round, rounds, pause;
	uint64_t *memory;

	if (argc < 3 || argc > 4 || atoi(argv[1]) < 1) {
		fprintf(stderr, "usage: memhog MIB ROUNDS [MICROSECONDS]\n");
		return 2;
	}
	pages = atoi(argv[1]) * (1024 * 1024 / PAGE);
	rounds = atoi(argv[2]);
	pause = argc > 3 ? atoi(argv[3]) : 0;
	while (mask < pages - 1)
		mask = mask << 1 | 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	memory = mmap(NULL, (size_t)pages * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		perror("memhog: mmap");
		return 1;
	}
	signal(SIGTERM, on_term);
	for (round = 0; (!rounds || round <= rounds) && !stop; round++) {
		if (go_round(memory, pages, mask, round, pause))
			return 1;
		if (!stop)
			printf("memhog: %u pages, round %u\n", pages, round);
	}
	return rounds && stop;
}
