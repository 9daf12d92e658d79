/* SPDX-License-Identifier: Apache-2.0 */
/* Gives a fuzz target every file of the files and folders named, with any
 * compiler. Finds nothing new: that is what the fuzzer is for. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int replay_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    /* Exactly as large as the input, so that a sanitizer sees a read past
     * its end; a NULL input is not among what a parser is promised. */
    uint8_t *data = malloc(size > 0 ? size : 1);
    if (data == NULL || fread(data, 1, size, file) != size) {
        fprintf(stderr, "%s: expected %zu bytes\n", path, size);
        free(data);
        fclose(file);
        return -1;
    }
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

static int replay(const char *path);

static int replay_folder(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        perror(path);
        return -1;
    }
    int count = 0;
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        char inner[4096];
        if (e->d_name[0] == '.') {
            continue;
        }
        if (snprintf(inner, sizeof inner, "%s/%s", path, e->d_name) >=
            (int)sizeof inner) {
            fprintf(stderr, "%s: path is too long\n", path);
            count = -1;
            break;
        }
        int n = replay(inner);
        if (n < 0) {
            count = -1;
            break;
        }
        count += n;
    }
    closedir(dir);
    return count;
}

/* Returns the number of inputs given, or -1 after a message. */
static int replay(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        perror(path);
        return -1;
    }
    return S_ISDIR(info.st_mode) ? replay_folder(path)
                                 : replay_file(path, (size_t)info.st_size);
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        int n = replay(argv[i]);
        if (n < 0) {
            return 1;
        }
        count += n;
    }
    const char *slash = strrchr(argv[0], '/');
    /* A target may have turned standard output off. */
    fprintf(stderr, "%s: %d inputs\n", slash != NULL ? slash + 1 : argv[0],
            count);
    return count > 0 ? 0 : 1;
}
