/* What libcyaml lets pass. Internal to common/src. */
#ifndef RW_SRC_YAML_CHECK_H
#define RW_SRC_YAML_CHECK_H

#include <cyaml/cyaml.h>

#include <rw/bytes.h>

/* CONFIG with "path:line: what" unless text is exactly one YAML document of the schema's shape: known keys, each once, maps and
 * lists where they belong, whole numbers in decimal, booleans written true or false, no NUL, no anchors or aliases.
 * Ranges, lengths and required keys are left to libcyaml. */
RW_NODISCARD int rw_yaml_check(const char *path, struct rw_bytes text, const cyaml_schema_value_t *schema, struct rw_error *err);

#endif
