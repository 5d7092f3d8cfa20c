/* What a plugin library exports: exactly one data symbol, constant-initialised, and an ELF note.
 *
 * The note `.note.palimpsest` (name "Palimpsest", type 1) holds text lines `key=value`: abi, tier, torch, compiler,
 * ids. The host reads it from the file before anything of the library runs, because loading already runs static
 * constructors. palimpsest_add_plugin() of the CMake package writes both. */
#ifndef PALIMPSEST_ENTRY_H
#define PALIMPSEST_ENTRY_H

#include "palimpsest/descriptor.h"
#include "palimpsest/version.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_MAGIC UINT64_C(0x5450534d494c4150) /* "PALIMPST", little endian */
#define PALIMPSEST_LIBRARY_SYMBOL "palimpsest_library"
#define PALIMPSEST_NOTE_SECTION ".note.palimpsest"
#define PALIMPSEST_NOTE_NAME "Palimpsest"
#define PALIMPSEST_NOTE_TYPE 1

typedef struct palimpsest_library_v1 {
  uint64_t magic;
  uint32_t abi_major;
  uint32_t abi_minor;
  const char* tier;     /* "none", "stable" or "locked" */
  const char* torch;    /* none: ""; stable: least libtorch, e.g. "2.10.0"; locked: the exact build tag */
  const char* compiler; /* compiler and its ABI, e.g. "gnu-cxxabi1017" */
  const palimpsest_descriptor* const* descriptors; /* NULL-terminated */
} palimpsest_library_v1;

#if defined(__GNUC__)
#define PALIMPSEST_EXPORT __attribute__((visibility("default")))
#else
#define PALIMPSEST_EXPORT
#endif

extern PALIMPSEST_EXPORT const palimpsest_library_v1 palimpsest_library;

#ifdef __cplusplus
}
#endif
#endif
