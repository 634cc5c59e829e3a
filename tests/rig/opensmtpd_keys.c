/* Debian's OpenSMTPD 6.8 marks its key for the process that signs on a copy of it that OpenSSL 3 throws
 * away, and so cannot sign at all. Later versions of it set the marked copy again, as this does for it. */
#define _GNU_SOURCE
#include <dlfcn.h>

void *EVP_PKEY_get1_RSA(void *pkey)
{
    void *(*get)(void *) = dlsym(RTLD_NEXT, "EVP_PKEY_get1_RSA");
    int (*set)(void *, void *) = dlsym(RTLD_NEXT, "EVP_PKEY_set1_RSA");
    void *key = get(pkey);
    if (key)
        set(pkey, key);
    return key;
}
