/* SPDX-License-Identifier: Apache-2.0 */
/* Lists and reads golden bytes. */
#include "unit/support/wire.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void die(const char *what, const char *path)
{
    fprintf(stderr, "%s: %s (run from the root of the tree)\n", path, what);
    abort();
}

static uint8_t *read_whole(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    struct stat info;

    if (file == NULL || fstat(fileno(file), &info) != 0) {
        die("cannot be opened", path);
    }
    *len = (size_t)info.st_size;
    /* One byte more: a NUL for texts, and no zero-sized allocation. */
    uint8_t *bytes = calloc(1, *len + 1);

    if (bytes == NULL || fread(bytes, 1, *len, file) != *len) {
        die("cannot be read", path);
    }
    fclose(file);
    return bytes;
}

char *wire_text(const char *path)
{
    size_t len;

    return (char *)read_whole(path, &len);
}

static int ends_in(const char *text, const char *suffix)
{
    size_t len = strlen(text);
    size_t suffix_len = strlen(suffix);

    return len >= suffix_len && strcmp(text + len - suffix_len, suffix) == 0;
}

static void add(struct wire_files *files, const char *path)
{
    struct wire_file file;

    files->files =
        realloc(files->files, (files->count + 1) * sizeof *files->files);
    if (files->files == NULL) {
        die("out of memory", path);
    }
    if (strlen(path) >= sizeof file.path) {
        die("a shorter path is expected", path);
    }
    strcpy(file.path, path);
    file.bytes = read_whole(path, &file.len);
    files->files[files->count++] = file;
}

static void walk(struct wire_files *files, const char *dir, const char *suffix)
{
    DIR *entries = opendir(dir);
    struct dirent *entry;

    if (entries == NULL) {
        die("cannot be listed", dir);
    }
    while ((entry = readdir(entries)) != NULL) {
        char path[512];
        struct stat info;

        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (stat(path, &info) != 0) {
            die("cannot be looked at", path);
        }
        if (S_ISDIR(info.st_mode)) {
            walk(files, path, suffix);
        } else if (ends_in(path, suffix)) {
            add(files, path);
        }
    }
    closedir(entries);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct wire_file *)a)->path,
                  ((const struct wire_file *)b)->path);
}

struct wire_files wire_load(const char *dir, const char *suffix)
{
    struct wire_files files = { NULL, 0 };

    walk(&files, dir, suffix);
    if (files.count > 0) {
        qsort(files.files, files.count, sizeof *files.files, by_path);
    }
    return files;
}

void wire_free(struct wire_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        free(files->files[i].bytes);
    }
    free(files->files);
    *files = (struct wire_files){ NULL, 0 };
}

const struct wire_file *wire_find(const struct wire_files *files,
                                  const char *path)
{
    for (size_t i = 0; i < files->count; i++) {
        if (strcmp(files->files[i].path, path) == 0) {
            return &files->files[i];
        }
    }
    return NULL;
}
