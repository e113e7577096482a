/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words shared by the whole protocol library: status codes, roles, the catalogue of FPDU types,
 * of parameters (PI) and of parameter groups (PGI), and the diagnostic. Values only, no function.
 * Chapters 3, 4.4, 4.7 and annex D of the specification. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PESIT_MUST_USE __attribute__((warn_unused_result))

/* Result of every function of the library that can fail. */
typedef enum {
    PESIT_OK = 0,    /* done */
    PESIT_NEED_MORE, /* nothing wrong: more input is needed */
    PESIT_MALFORMED, /* the peer's bytes break the encoding rules */
    PESIT_VIOLATION, /* well formed, but not allowed here */
    PESIT_LIMIT,     /* a limit of ours was reached: drain output, events or the batch */
    PESIT_MISUSE,    /* the caller asked for something the state does not allow */
} PesitStatus;

typedef enum { PESIT_ROLE_REQUESTER, PESIT_ROLE_SERVER } PesitRole;

/* How entities (NSDU) are delimited on TCP. AUTO is for servers: found from the first 8 bytes. */
typedef enum { PESIT_FRAMING_AUTO, PESIT_FRAMING_PREFIXED, PESIT_FRAMING_RAW } PesitFraming;

/* PI 22 */
typedef enum { PESIT_ACCESS_WRITE = 0, PESIT_ACCESS_READ = 1, PESIT_ACCESS_MIXED = 2 } PesitAccess;

/* PI 19, chapter 4.7.3 */
typedef enum {
    PESIT_END_ERROR = 4, /* a restart is expected */
    PESIT_END_SUSPENDED = 8,
    PESIT_END_CANCELLED_SERVER = 12,
    PESIT_END_CANCELLED_REQUESTER = 16,
} PesitEndCode;

/* FPDU types; the wire codes are in the catalogue (fpdu.h). Chapter 4.7.1, annex E. */
typedef enum {
    PESIT_FPDU_NONE = 0,
    PESIT_FPDU_CONNECT,
    PESIT_FPDU_ACONNECT,
    PESIT_FPDU_RCONNECT,
    PESIT_FPDU_RELEASE,
    PESIT_FPDU_RELCONF,
    PESIT_FPDU_ABORT,
    PESIT_FPDU_CREATE,
    PESIT_FPDU_ACK_CREATE,
    PESIT_FPDU_SELECT,
    PESIT_FPDU_ACK_SELECT,
    PESIT_FPDU_DESELECT,
    PESIT_FPDU_ACK_DESELECT,
    PESIT_FPDU_ORF,
    PESIT_FPDU_ACK_ORF,
    PESIT_FPDU_CRF,
    PESIT_FPDU_ACK_CRF,
    PESIT_FPDU_READ,
    PESIT_FPDU_ACK_READ,
    PESIT_FPDU_WRITE,
    PESIT_FPDU_ACK_WRITE,
    PESIT_FPDU_TRANS_END,
    PESIT_FPDU_ACK_TRANS_END,
    PESIT_FPDU_DTF,
    PESIT_FPDU_DTFDA,
    PESIT_FPDU_DTFMA,
    PESIT_FPDU_DTFFA,
    PESIT_FPDU_DTF_END,
    PESIT_FPDU_SYN,
    PESIT_FPDU_ACK_SYN,
    PESIT_FPDU_RESYN,
    PESIT_FPDU_ACK_RESYN,
    PESIT_FPDU_IDT,
    PESIT_FPDU_ACK_IDT,
    PESIT_FPDU_MSG,
    PESIT_FPDU_MSGDM,
    PESIT_FPDU_MSGMM,
    PESIT_FPDU_MSGFM,
    PESIT_FPDU_ACK_MSG,
    PESIT_FPDU_COUNT,
} PesitFpduType;

/* Parameters: the value is the wire code of PI units, so that tables can be indexed by it.
 * Chapter 4.7.2.2 and 4.7.3. */
typedef enum {
    PESIT_PI_CRC = 1,
    PESIT_PI_DIAGNOSTIC = 2,
    PESIT_PI_REQUESTER = 3,      /* demandeur */
    PESIT_PI_SERVER = 4,         /* serveur */
    PESIT_PI_ACCESS_CONTROL = 5, /* contrôle d'accès: password(s) */
    PESIT_PI_VERSION = 6,
    PESIT_PI_SYNC_OPTION = 7, /* option points de synchronisation */
    PESIT_PI_FILE_TYPE = 11,
    PESIT_PI_FILE_NAME = 12,
    PESIT_PI_TRANSFER_ID = 13,
    PESIT_PI_ATTRIBUTES_REQUESTED = 14,
    PESIT_PI_RESTARTED = 15, /* transfert relancé */
    PESIT_PI_DATA_CODE = 16,
    PESIT_PI_PRIORITY = 17,
    PESIT_PI_RESTART_POINT = 18,
    PESIT_PI_END_CODE = 19,
    PESIT_PI_SYNC_NUMBER = 20,
    PESIT_PI_COMPRESSION = 21,
    PESIT_PI_ACCESS_TYPE = 22,
    PESIT_PI_RESYNC = 23,
    PESIT_PI_MAX_ENTITY = 25, /* taille maximale d'une entité de données */
    PESIT_PI_TIMEOUT = 26,
    PESIT_PI_BYTE_COUNT = 27,
    PESIT_PI_ARTICLE_COUNT = 28,
    PESIT_PI_DIAGNOSTIC_TEXT = 29, /* compléments de diagnostic */
    PESIT_PI_ARTICLE_FORMAT = 31,
    PESIT_PI_ARTICLE_LENGTH = 32,
    PESIT_PI_ORGANISATION = 33,
    PESIT_PI_SIGNATURE_FLAG = 34,
    PESIT_PI_SIT_SEAL = 36,
    PESIT_PI_LABEL = 37,
    PESIT_PI_KEY_LENGTH = 38,
    PESIT_PI_KEY_OFFSET = 39,
    PESIT_PI_SPACE_UNIT = 41,
    PESIT_PI_SPACE_MAX = 42,
    PESIT_PI_CREATED = 51,
    PESIT_PI_EXTRACTED = 52,
    PESIT_PI_CLIENT = 61,
    PESIT_PI_BANK = 62,
    PESIT_PI_FILE_ACCESS_CONTROL = 63,
    PESIT_PI_SERVER_TIME = 64,
    PESIT_PI_AUTHENTICATION_TYPE = 71,
    PESIT_PI_AUTHENTICATION = 72,
    PESIT_PI_SEALING_TYPE = 73,
    PESIT_PI_SEALING = 74,
    PESIT_PI_ENCRYPTION_TYPE = 75,
    PESIT_PI_ENCRYPTION = 76,
    PESIT_PI_SIGNATURE_TYPE = 77,
    PESIT_PI_SEAL = 78,
    PESIT_PI_SIGNATURE = 79,
    PESIT_PI_ACCREDITATION = 80,
    PESIT_PI_SIGNATURE_RECEIPT = 81,
    PESIT_PI_SECOND_SIGNATURE = 82,
    PESIT_PI_SECOND_ACCREDITATION = 83,
    PESIT_PI_MESSAGE = 91,
    PESIT_PI_FREE_TEXT = 99,
    PESIT_PI_COUNT = 100,
} PesitPi;

/* Groups; the value is the wire code. */
typedef enum {
    PESIT_PGI_NONE = 0,
    PESIT_PGI_FILE = 9,        /* 3 4 11 12 */
    PESIT_PGI_LOGICAL = 30,    /* 31..39 */
    PESIT_PGI_PHYSICAL = 40,   /* 41 42 */
    PESIT_PGI_HISTORICAL = 50, /* 51 52 */
} PesitPgi;

/* PI 2. Type 0 or 1 is positive, 2 or 3 negative; the code says why (annex D). */
typedef struct {
    uint8_t type;  /* 0..3 */
    uint16_t code; /* 0..999 */
} PesitDiag;

#define PESIT_DIAG(t, c) ((PesitDiag){.type = (t), .code = (c)})
#define PESIT_DIAG_OK    PESIT_DIAG(0, 0)
