/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and the private authority: what one makes the other reads, and what is wrong is told apart. */
#include "base/authority.h"
#include "base/certificate.h"
#include "base/error.h"

#include <string.h>

typedef struct {
    char *key, *root;    /* of the authority */
    char *own_key, *own; /* signed by it */
    char *other_key;     /* of nobody */
} Fixture;

static char *make_key(void)
{
    g_autoptr(GError) error = NULL;
    char *key = authority_make_key("EC", &error);

    g_assert_no_error(error);
    return key;
}

static char *sign(const Fixture *f, const char *key, const AuthoritySubject *subject,
                  const char *names, unsigned days)
{
    const AuthoritySigner signer = {f->root, f->key, strlen(f->key)};
    g_autoptr(GError) error = NULL;
    g_autofree char *request = authority_make_request(key, subject, names, &error);
    char *made;

    g_assert_no_error(error);
    made = authority_sign(&signer, request, AUTHORITY_BOTH, days, &error);
    g_assert_no_error(error);
    return made;
}

static void set_up(Fixture *f, gconstpointer data)
{
    const AuthoritySubject root = {"root", NULL, "Bank", "FR"};
    const AuthoritySubject own = {"own.example", "unit", NULL, NULL};
    g_autoptr(GError) error = NULL;

    (void)data;
    f->key = make_key();
    f->own_key = make_key();
    f->other_key = make_key();
    f->root = authority_make_root(f->key, &root, 100, &error);
    g_assert_no_error(error);
    f->own = sign(f, f->own_key, &own, NULL, 10);
}

static void tear_down(Fixture *f, gconstpointer data)
{
    (void)data;
    g_free(f->key);
    g_free(f->root);
    g_free(f->own_key);
    g_free(f->own);
    g_free(f->other_key);
}

static void test_description(Fixture *f, gconstpointer data)
{
    g_autofree char *text = g_strconcat("friendlyName: first one\n", f->own, f->root, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = certificate_list(text, &error);
    g_autofree char *again = NULL;
    const Certificate *own, *root;

    (void)data;
    g_assert_no_error(error);
    g_assert_cmpuint(list->len, ==, 2);
    own = g_ptr_array_index(list, 0);
    root = g_ptr_array_index(list, 1);
    g_assert_cmpstr(own->alias, ==, "first one");
    g_assert_null(root->alias);
    g_assert_cmpstr(own->subject, ==, "CN=own.example,OU=unit");
    g_assert_cmpstr(own->issuer, ==, "CN=root,O=Bank,C=FR");
    g_assert_cmpstr(own->algorithm, ==, "EC 256");
    g_assert_cmpuint(strlen(own->fingerprint), ==, 64);
    g_assert_false(own->is_authority);
    g_assert_true(root->is_authority);
    g_assert_cmpint(own->expires_us - own->valid_from_us, ==,
                    (INT64_C(10) * 86400 + 300) * 1000000);
    g_assert_cmpint(certificate_first_expiry_us(text), ==, own->expires_us);
    again = certificate_format(list);
    g_assert_cmpstr(again, ==, text);
    g_assert_cmpint(certificate_first_expiry_us("nothing"), ==, 0);
}

static void test_checks(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *both = g_strconcat(f->own, f->root, NULL);

    (void)data;
    g_assert_true(certificate_check_key(f->own, f->own_key, strlen(f->own_key), &error));
    g_assert_false(certificate_check_key(f->own, f->other_key, strlen(f->other_key), &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_true(certificate_check_chain(both, NULL, &error));
    g_assert_true(certificate_check_chain(f->own, f->root, &error));
    g_assert_false(certificate_check_chain(f->own, f->own, &error));
    g_assert_nonnull(strstr(error->message, "CN=root"));
    g_clear_error(&error);
    g_assert_true(certificate_check_signed(f->own, f->root, &error));
    g_assert_false(certificate_check_signed(f->own, f->own, &error));
    g_clear_error(&error);
    g_assert_false(certificate_check_signed("x", f->root, &error));
    g_clear_error(&error);
}

static CertificateBundle *open_bundle(const void *bytes, size_t length, const char *password,
                                      GError **error)
{
    const CertificateSource source = {bytes, length, CERTIFICATE_FORMAT_ANY, password};

    return certificate_bundle_read(&source, error);
}

static void test_pkcs12(Fixture *f, gconstpointer data)
{
    g_autofree char *chain = g_strconcat(f->own, f->root, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(CertificateBundle) bundle = NULL;
    g_autoptr(GPtrArray) list = NULL;
    size_t length = 0;
    g_autofree void *bytes =
            authority_make_pkcs12(chain, f->own_key, "opens it", "mine", &length, &error);

    (void)data;
    g_assert_no_error(error);
    bundle = open_bundle(bytes, length, "opens it", &error);
    g_assert_no_error(error);
    list = certificate_list(bundle->certificates, &error);
    g_assert_cmpuint(list->len, ==, 2);
    g_assert_cmpstr(((Certificate *)g_ptr_array_index(list, 0))->alias, ==, "mine");
    g_assert_true(
            certificate_check_key(bundle->certificates, bundle->key, strlen(bundle->key), &error));
    g_assert_null(open_bundle(bytes, length, "does not", &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_REFUSED);
    g_clear_error(&error);
    for (size_t cut = 0; cut < length;
         cut += 97) { /* whatever is missing, it is an error and no more */
        g_assert_null(open_bundle(bytes, cut, "opens it", &error));
        g_assert_nonnull(error);
        g_clear_error(&error);
    }
}

static void test_pem(Fixture *f, gconstpointer data)
{
    g_autofree char *text = g_strconcat(f->root, f->own, f->own_key, NULL);
    g_autofree char *wrong = g_strconcat(f->own, f->other_key, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(CertificateBundle) bundle = open_bundle(text, strlen(text), NULL, &error);

    (void)data;
    g_assert_no_error(error);
    g_assert_true(g_str_has_prefix(bundle->certificates, f->own)); /* the key's own comes first */
    g_assert_null(open_bundle(wrong, strlen(wrong), NULL, &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_INVALID);
    g_clear_error(&error);
    g_assert_true(certificate_is_java("\xFE\xED\xFE\xED\0", 5));
    g_assert_false(certificate_is_java("\xFE\xED", 2));
    g_assert_null(open_bundle("\xFE\xED\xFE\xED\0", 5, NULL, &error));
    g_clear_error(&error);
}

/* Nothing that is signed outlives the authority, whatever is asked. */
static void test_limits(Fixture *f, gconstpointer data)
{
    const AuthoritySubject subject = {"long", NULL, NULL, NULL};
    g_autofree char *lasting = sign(f, f->own_key, &subject, "a.example, 127.0.0.1", 7000);
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_cmpint(certificate_first_expiry_us(lasting), ==, certificate_first_expiry_us(f->root));
    g_assert_null(authority_make_request(f->own_key, &subject, "not a host", &error));
    g_assert_true(g_str_has_prefix(error->message, "names: "));
    g_clear_error(&error);
    g_assert_null(authority_make_key("DSA", &error));
    g_assert_true(g_str_has_prefix(error->message, "keyType: "));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/certificate/description", Fixture, NULL, set_up, test_description, tear_down);
    g_test_add("/certificate/checks", Fixture, NULL, set_up, test_checks, tear_down);
    g_test_add("/certificate/pkcs12", Fixture, NULL, set_up, test_pkcs12, tear_down);
    g_test_add("/certificate/pem", Fixture, NULL, set_up, test_pem, tear_down);
    g_test_add("/certificate/limits", Fixture, NULL, set_up, test_limits, tear_down);
    return g_test_run();
}
