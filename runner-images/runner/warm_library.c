/* The hold as bytes in this program, so that the runner stays one file that needs nothing of the image it is put into. */
#include "warm_library.h"

__asm__(".pushsection .rodata\n"
        ".global warm_library\n"
        ".global warm_library_bytes\n"
        "warm_library:\n"
        ".incbin \"" WARM_LIBRARY_FILE "\"\n"
        "1:\n"
        ".balign 8\n"
        "warm_library_bytes:\n"
        ".8byte 1b - warm_library\n"
        ".popsection\n");
