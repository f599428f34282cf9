/* AMX: the tile registers of Intel's Sapphire Rapids and later (Intel 64 and IA-32 Architectures
   Software Developer's Manual, volume 1, chapter 18). */
#ifndef GPTTERM_AMX_H
#define GPTTERM_AMX_H

#include <stdint.h>

/* Older compilers do not know the instructions. */
#if defined(__x86_64__) && __GNUC__ >= 11
#define COMPILES_AMX 1
#else
#define COMPILES_AMX 0
#endif

enum { TILES = 8, TILE_ROWS = 16, TILE_BYTES = 64 /* of a row */ };

/* The operand of LDTILECFG: the tiles' shapes. */
typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_shapes;

/* Before tiles are loaded or shaped from memory: GCC is not told what these instructions read. */
static inline void finish_stores(void) { __asm__ volatile("" ::: "memory"); }

/* Whether this process may use AMX, and its products are right. */
int amx_is_usable(void);

#endif
