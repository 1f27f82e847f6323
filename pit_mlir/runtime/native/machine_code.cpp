// What a loader of machine code must tell the processor.

extern "C" {

// Has instructions that were written to memory seen by those who fetch them: on AArch64 the two ways are not kept in step.
void pit_publish_code(char *begin, char *end) { __builtin___clear_cache(begin, end); }

}  // extern "C"
