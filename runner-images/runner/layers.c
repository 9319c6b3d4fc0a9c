/* Layers, as one table: the name, whether it has a number, and what to do when it is lacking. */
#include "layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rw/auto.h>

static const struct {
    const char *name;
    bool has_value; /* required with a number */
    const char *remedy;
} kinds[_LAYER_MAX] = {
    [LAYER_NAMESPACES] = {"namespaces", false, "use --sandbox namespaces, and let the kernel make user namespaces"},
    [LAYER_OWN_UID] = {"own_uid", false, "start it as root"},
    [LAYER_SECCOMP] = {"seccomp", false, "use a kernel with CONFIG_SECCOMP_FILTER"},
    [LAYER_LANDLOCK] = {"landlock", true, "use a newer kernel, with landlock among those that /sys/kernel/security/lsm names"},
    [LAYER_CGROUP] = {"cgroup", false,
                      "start it as root or below a delegated cgroup (systemd: Delegate=yes), with memory, pids and cpu to be had"},
};

static int find_layer(const char *word, size_t len)
{
    for (int layer = 0; layer < _LAYER_MAX; layer++) {
        if (strlen(kinds[layer].name) == len && strncmp(kinds[layer].name, word, len) == 0) {
            return layer;
        }
    }
    return -1;
}

static int take_word(const char *word, struct layers *layers, struct rw_error *err)
{
    const char *equals = strchr(word, '=');
    int layer = find_layer(word, equals ? (size_t)(equals - word) : strlen(word));
    if (layer < 0 || kinds[layer].has_value != (equals != NULL)) {
        return rw_fail(err, CONFIG, "not a layer: \"%.40s\"; there are namespaces, own_uid, seccomp, landlock=LEVEL and cgroup",
                       word);
    }
    char *end = NULL;
    unsigned long value = equals ? strtoul(equals + 1, &end, 10) : 1;
    if (equals && (end == equals + 1 || *end != '\0' || value < 1 || value > LAYER_VALUE_MAX)) {
        return rw_fail(err, CONFIG, "%s wants a number from 1 to %d", kinds[layer].name, LAYER_VALUE_MAX);
    }
    layers->values[layer] = (unsigned)value;
    return 0;
}

int layers_parse(const char *text, struct layers *ret_layers, struct rw_error *err)
{
    struct layers layers = {0};
    RW_AUTO_FREE char *words = rw_xstrdup(text);
    char *next = NULL;
    for (char *word = strtok_r(words, ",", &next); word; word = strtok_r(NULL, ",", &next)) {
        if (take_word(word, &layers, err) < 0) {
            return -1;
        }
    }
    *ret_layers = layers;
    return 0;
}

char *layers_format(const struct layers *layers, char out[static LAYERS_TEXT_BYTES])
{
    int len = 0;
    out[0] = '\0';
    for (int layer = 0; layer < _LAYER_MAX; layer++) {
        bool has_value = layer == LAYER_LANDLOCK || layer == LAYER_CGROUP;
        if (layers->values[layer] == 0) {
            continue;
        }
        len += snprintf(out + len, (size_t)(LAYERS_TEXT_BYTES - len), "%s%s", len > 0 ? "," : "", kinds[layer].name);
        if (has_value) {
            len += snprintf(out + len, (size_t)(LAYERS_TEXT_BYTES - len), "=%u", layers->values[layer] % 100);
        }
    }
    return out;
}

int layers_check(const struct layers *in_force, const struct layers *required, struct rw_error *err)
{
    for (int layer = 0; layer < _LAYER_MAX; layer++) {
        if (in_force->values[layer] >= required->values[layer]) {
            continue;
        }
        if (in_force->values[layer] > 0) {
            return rw_fail(err, UNSUPPORTED, "required is %s %u, here is %u: %s", kinds[layer].name, required->values[layer],
                           in_force->values[layer], kinds[layer].remedy);
        }
        return rw_fail(err, UNSUPPORTED, "required is %s, which cannot be had here: %s", kinds[layer].name, kinds[layer].remedy);
    }
    return 0;
}
