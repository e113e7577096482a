/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keystores and truststores of the store, as the handlers of admin/ share them: asked for, told as JSON, read from forms and
 * defined. What the daemon tells of one is a dictionary, see Certificates in interface.xml. No key is ever told.
 */
#pragma once

#include "admin/form.h"
#include "base/certificate.h"

#define PURPOSE_AUTHORITY "CA"

/* All, or the one of a name. NULL: answered. Returns new, aa{sv}. */
GVariant *certificates_ask(Request *request, const char *name);
/* The one that an id or a name means. NULL: answered. Returns new. */
GVariant *certificates_find(Request *request, const char *id);
/* Settings of one; its certificates, of Certificate, none when they cannot be read. Return new. */
GVariant *certificates_settings(GVariant *told);
GPtrArray *certificates_list_of(GVariant *told);
bool certificates_are_keystore(GVariant *settings);
/* As an object. */
void certificates_write(GString *out, const char *key, GVariant *told);

/* A file of a form as certificates and a key: what is wrong with it is told of the field. password: or NULL. NULL:
 * answered. Returns new. */
CertificateBundle *certificates_read(Request *request, const char *field, const char *password);
/* Lays the certificates over the settings, as a keystore or a truststore. False: answered. */
bool certificates_put(Request *request, GVariantDict *settings, const char *field, bool keystore,
                      const CertificateBundle *bundle);
/* Asks for the change: version 0 is new, -1 any. settings: taken. False: answered. */
bool certificates_define(Request *request, const char *name, GVariantDict *settings,
                         int64_t version);
bool certificates_undefine(Request *request, const char *name, int64_t version);
/* Nobody else is the default of this kind. False: answered. */
bool certificates_clear_defaults(Request *request, const char *name, bool keystore);
/* As it is now, noted for the audit: before: as it was, NULL: it was not. False: answered. */
bool certificates_answer(Request *request, unsigned status, const char *name, GVariant *before);
