/* Guest `program`: a CGI program as they were written in 1995: getenv, stdin, stdout. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value ? value : "(none)";
}

int main(int argc, char **argv)
{
    char piece[4096];
    size_t size;

    printf("Content-Type: text/plain\n\n");
    printf("%s %s, length %s\n", variable("REQUEST_METHOD"), variable("PATH_INFO"), variable("CONTENT_LENGTH"));
    for (int i = 1; i < argc; i++) {
        printf("argument %s\n", argv[i]);
    }
    while ((size = fread(piece, 1, sizeof piece, stdin)) > 0) {
        if (fwrite(piece, 1, size, stdout) != size) {
            return EXIT_FAILURE;
        }
    }
    if (ferror(stdin)) {
        perror("standard input");
        return EXIT_FAILURE;
    }
    /* A program that finds an error at its end says so by its exit code. */
    return strcmp(variable("QUERY_STRING"), "fail") == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
