/* A library of one editor that does nothing, with a hook for each way in which a library can be wrong: hostile_test.py
 * compiles it once for each, with -D. The note is written by hand, so that it can disagree with the symbol. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "palimpsest/palimpsest.h"

#ifndef ID
#error "give -DID=\"...\""
#endif
#ifndef MAGIC
#define MAGIC PALIMPSEST_MAGIC
#endif
#ifndef MAJOR
#define MAJOR PALIMPSEST_ABI_MAJOR
#endif
#ifndef MINOR
#define MINOR PALIMPSEST_ABI_MINOR
#endif
#ifndef TIER
#define TIER "none"
#endif
#ifndef TORCH
#define TORCH ""
#endif
#ifndef KIND
#define KIND PALIMPSEST_KIND_EDITOR
#endif
#ifndef SUMMARY
#define SUMMARY "Does nothing."
#endif
#ifndef PARAMETERS
#define PARAMETERS NULL, 0
#endif
#ifndef CREATE
#define CREATE create
#endif
#ifndef INTERFACE
#define INTERFACE &editor
#endif
#ifndef DESCRIPTORS
#define DESCRIPTORS &kEditor, NULL
#endif

#ifdef NOTE
__asm__(
    ".pushsection .note.palimpsest,\"a\",@note\n"
    ".balign 4\n"
    ".long 2f-1f\n"
    ".long 4f-3f\n"
    ".long 1\n"
    "1: .asciz \"Palimpsest\"\n"
    "2: .balign 4\n"
    "3: .ascii \"" NOTE
    "\"\n"
    "4: .balign 4\n"
    ".popsection\n");
#endif

#ifdef CONSTRUCTOR
__attribute__((constructor)) static void while_loading(void) { CONSTRUCTOR; }
#endif

static palimpsest_status create(const palimpsest_host* host, const palimpsest_parameter_value* values, size_t count,
                                void** instance) {
  static int nothing;
  (void)host, (void)values, (void)count;
  *instance = &nothing;
  return PALIMPSEST_OK;
}
static void destroy(void* instance) { (void)instance; }
static palimpsest_status apply(void* instance, palimpsest_model* model, const palimpsest_edit_request* requests,
                               size_t count, const palimpsest_update_sink* sink) {
  (void)instance, (void)model, (void)requests, (void)count, (void)sink;
  return PALIMPSEST_OK;
}
static const palimpsest_editor_v1 editor = {apply};
static const void* get_interface(const char* id) {
  (void)editor;
  return strcmp(id, PALIMPSEST_EDITOR_1) == 0 ? INTERFACE : NULL;
}

/* name, type, required, default, has_min, has_max, min, max, choices, unit, doc */
#define NUMBER(value) {1, 0, 0, value, {NULL, 0}, 0, NULL, NULL, NULL}
static const palimpsest_parameter kTwice[] = {
    {"a", PALIMPSEST_PARAMETER_NUMBER, 0, NUMBER(1), 0, 0, 0, 0, NULL, "", "A number."},
    {"a", PALIMPSEST_PARAMETER_NUMBER, 0, NUMBER(1), 0, 0, 0, 0, NULL, "", "A number."}};
static const palimpsest_parameter kOutside[] = {
    {"a", PALIMPSEST_PARAMETER_NUMBER, 0, NUMBER(2), 1, 1, 0, 1, NULL, "", "A number."}};
static const palimpsest_parameter kUnknownType[] = {{"a", 99, 0, NUMBER(1), 0, 0, 0, 0, NULL, "", "A number."}};

static const palimpsest_descriptor kEditor = {KIND, ID, "1.0.0", SUMMARY, PARAMETERS, CREATE, destroy, get_interface};
static const palimpsest_descriptor* const kDescriptors[] = {DESCRIPTORS};

/* So that no combination leaves one of them unused. */
const void* palimpsest_unused(void);
const void* palimpsest_unused(void) {
  (void)kTwice, (void)kOutside, (void)kUnknownType, (void)create, (void)kDescriptors;
  return &kEditor;
}

#ifndef NO_SYMBOL
PALIMPSEST_EXPORT const palimpsest_library_v1 palimpsest_library = {MAGIC, MAJOR,    MINOR,       TIER,
                                                                    TORCH, COMPILER, kDescriptors};
#endif
