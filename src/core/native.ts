/**
 * koffi, set up once for all who call into shared libraries: engines, and the decoder of JPEGs. Its settings can only be
 * made before the first library is loaded, whoever loads it.
 */
import koffi from "koffi";

// Compilers recurse deeply; koffi runs native code on stacks of its own, 2 MiB by default and 128 KiB off the main
// thread. 16 MiB is the most that it allows.
koffi.config({ sync_stack_size: 16 << 20, async_stack_size: 16 << 20 });

export default koffi;
