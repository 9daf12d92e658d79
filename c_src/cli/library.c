/* SPDX-License-Identifier: Apache-2.0 */
/* Opens handler libraries. */
#include "cli/library.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum tenon_err
fail(tenon_error *err, enum tenon_err code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum tenon_err
fail(tenon_error *err, enum tenon_err code, const char *format, ...)
{
    va_list args;

    err->code = code;
    err->sys_errno = 0;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return code;
}

/* dlopen searches for a name without a slash; a file was meant. */
static void *open_file(const char *path)
{
    char *here;

    if (strchr(path, '/') != NULL) {
        return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    size_t cap = strlen(path) + 3;

    here = malloc(cap);
    if (here == NULL) {
        return NULL;
    }
    snprintf(here, cap, "./%s", path);
    void *handle = dlopen(here, RTLD_NOW | RTLD_LOCAL);

    free(here);
    return handle;
}

static enum tenon_err find_table(const char *path,
                                 const tenon_handlers_table **table,
                                 tenon_error *err)
{
    void *handle = open_file(path);

    if (handle == NULL) {
        const char *reason = dlerror();

        return fail(err, TENON_E_NOT_FOUND,
                    "handler library \"%s\" cannot be opened: %s", path,
                    reason != NULL ? reason : "out of memory");
    }
    *table = dlsym(handle, "tenon_handlers");
    if (*table == NULL) {
        return fail(err, TENON_E_NOT_FOUND,
                    "handler library \"%s\": expected an exported object "
                    "tenon_handlers, found none",
                    path);
    }
    if ((*table)->abi != TENON_HANDLERS_ABI || (*table)->load == NULL) {
        return fail(err, TENON_E_NOTSUP,
                    "handler library \"%s\": expected version %d of the "
                    "table, got %u",
                    path, TENON_HANDLERS_ABI, (unsigned)(*table)->abi);
    }
    return TENON_OK;
}

enum tenon_err cli_library_load(struct cli_library *library,
                                tenon_node *node,
                                const char *path,
                                tenon_error *err)
{
    const tenon_handlers_table *table = NULL;
    enum tenon_err rc = find_table(path, &table, err);

    if (rc != TENON_OK) {
        return rc;
    }
    tenon_error why = { 0 };

    rc = table->load(node, &library->state, &why);
    if (rc != TENON_OK) {
        return fail(err, rc, "handler library \"%s\": %.150s", path,
                    why.text[0] != '\0' ? why.text : tenon_err_text(rc));
    }
    library->table = table;
    tenon_node_log(node, TENON_LOG_INFO, "loaded", "file", path, "name",
                   table->name, NULL);
    return TENON_OK;
}

void cli_library_unload(struct cli_library *library)
{
    if (library->table != NULL && library->table->unload != NULL) {
        library->table->unload(library->state);
    }
    *library = (struct cli_library){ 0 };
}
