/* The hold as bytes in this program, so that the runner stays one file that needs nothing of the image it is put into. */
#include <stdint.h>

extern const uint8_t warm_library_begin[];
extern const uint8_t warm_library_end[];

__asm__(".pushsection .rodata\n"
        ".global warm_library_begin\n"
        ".global warm_library_end\n"
        "warm_library_begin:\n"
        ".incbin \"" WARM_LIBRARY_FILE "\"\n"
        "warm_library_end:\n"
        ".popsection\n");
