/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of verbs and options, what is looked up in them, and the texts made of them. */
#include "pesitctl/verb.h"

#include "base/error.h"
#include "base/spelling.h"
#include "pesitctl/output.h"

#include <string.h>

#define LIMIT_MAX    1000
#define WAIT_MAX     86400 /* s */
#define HEAD_COLUMNS 31
#define NEAR         3 /* letters: beyond, nothing is like it */

#define SETTINGS_MAX 200
#define FAVORITE_HELP                                                                              \
    "partnerId=BANK1 direction=RECEIVE path=releves/today; what is sent: direction=SEND "          \
    "filename=/data/out/pay.xml\n"                                                                 \
    "path=out/pay.xml, or replayOf=17. docs/api.md has all keys.\n"
#define SCHEDULE_HELP                                                                              \
    "The keys of a favorite, or favoriteId=ID; and when: scheduleType=DAILY dailyTime=08:00 "      \
    "timezone=Europe/Paris, or\n"                                                                  \
    "cronExpression=\"0 8 * * MON-FRI\"; workingDaysOnly=true, expectBy=10:00, catchUp=true. "     \
    "docs/api.md has all keys.\n"
#define CALENDAR_HELP                                                                              \
    "workingDays=1,2,3,4,5 holidays=2027-01-01,2027-05-01; preset=TARGET2 or FR, with fromYear "   \
    "and toYear;\n"                                                                                \
    "defaultCalendar=true.\n"
#define SETTINGS_HELP                                                                              \
    "Keys are those of docs/configuration.md: idle_s=60, tls.enabled=true, "                       \
    "addresses=10.0.0.0/8,192.0.2.7\n"                                                             \
    "KEY= takes a key back to its default. A password is read from a file or standard input: "     \
    "password_sent=@FILE,\n"                                                                       \
    "password_sent=-. What is in the configuration file is changed there.\n"

#define CERTIFICATE_HELP                                                                           \
    "KIND is keystore (a certificate of ours with its key) or truststore (whom we trust). FILE "   \
    "is "                                                                                          \
    "PKCS12 or PEM.\n"                                                                             \
    "Keys: storePassword=@FILE or storePassword=-, keyPassword, description, purpose, partnerId, " \
    "isDefault=true.\n"

#define O(field) offsetof(Options, field)

/* clang-format off */
const Option OPTIONS[] = {
    { "socket", 's', true, "PATH", OPTION_TEXT, O(socket), 0, 0, "the daemon's socket (" CLIENT_DEFAULT_SOCKET ")" },
    { "json", 'j', true, NULL, OPTION_FLAG, O(json), 0, 0, "print JSON, errors too" },
    { "help", 'h', true, NULL, OPTION_FLAG, O(help), 0, 0, "print help, of a verb when one is given" },
    { "version", 0, true, NULL, OPTION_FLAG, O(version), 0, 0, "print the version" },
    { "list-verbs", 0, true, NULL, OPTION_FLAG, O(list_verbs), 0, 0, "print verbs, options and exit codes for programs" },
    { "list-names", 0, true, NULL, OPTION_FLAG, O(list_names), 0, 0, "print names of partners, virtual files, listeners and certificates for programs" },
    { "partner", 'p', false, "PARTNER", OPTION_TEXT, O(partner), 0, 0, "only this partner" },
    { "state", 0, false, "STATE", OPTION_CHOICES, O(states), 0, 0, "only this state; may be repeated",
      "staged queued running waiting done failed cancelled" },
    { "direction", 0, false, "DIRECTION", OPTION_CHOICES, O(directions), 0, 0, "only this direction; may be repeated",
      "send fetch offer receive serve" },
    { "limit", 'n', false, "N", OPTION_NUMBER, O(limit), 1, LIMIT_MAX, "at most so many (50)" },
    { "before", 0, false, "ID", OPTION_NUMBER, O(before), 1, G_MAXINT64, "only older than this transfer" },
    { "wait", 'w', false, "SECONDS", OPTION_NUMBER, O(wait_s), 0, WAIT_MAX, "wait at most so long (600)" },
    { "no-wait", 0, false, NULL, OPTION_FLAG, O(no_wait), 0, 0, "only put it into the queue" },
    { "output", 'o', false, "FILE", OPTION_TEXT, O(output), 0, 0, "write to this file" },
    { "key-file", 0, false, "FILE", OPTION_TEXT, O(key_file), 0, 0, "the key that seals secrets" },
    { "to", 0, false, "FOLDER", OPTION_TEXT, O(to), 0, 0, "an empty folder, made when missing" },
    { "postgres", 0, false, "CONNINFO", OPTION_TEXT, O(postgres), 0, 0, "the store goes to this PostgreSQL database" },
    { "schema", 0, false, "NAME", OPTION_TEXT, O(schema), 0, 0, "a schema there, empty or made" },
    { NULL },
};

const Verb VERBS[] = {
    { "status", "", "", "the daemon, its listeners, what runs", NULL, 0, 0, false, run_status, { NULL } },
    { "transfers", "", "partner state direction limit before", "history, newest first",
      "The next page: --before with the last ID shown.\n",
      0, 0, false, run_transfers, { NULL } },
    { "show", "ID", "", "all that is known of one transfer", NULL, 1, 1, false, run_show, { NULL } },
    { "send", "PARTNER FILE [PATH]", "wait no-wait", "send a file as PATH (default: out/FILE) and wait",
      "PATH decides by which virtual file of the partner it goes; one of mode \"offer\" only lays it ready.\n"
      "When the time is over the transfer goes on; \"pesitctl wait ID\" waits on.\n",
      2, 3, false, run_send, { NULL } },
    { "fetch", "PARTNER PATH", "wait output", "fetch a file to --output or standard output",
      "With --output the file appears whole or not at all. Without, what is told of the transfer goes to standard error.\n",
      2, 2, false, run_fetch, { NULL } },
    { "wait", "ID", "wait", "wait until a transfer has ended", "Shows progress on a terminal.\n",
      1, 1, false, run_wait, { NULL } },
    { "retry", "ID", "", "try a waiting, failed or cancelled transfer now", NULL, 1, 1, false, run_retry, { NULL } },
    { "cancel", "ID", "", "cancel a transfer", NULL, 1, 1, false, run_cancel, { NULL } },
    { "hold", "ID", "", "let a transfer wait until it is released",
      "One that runs is interrupted, and begins anew when it is released.\n", 1, 1, false, run_admin,
      { "POST", "/api/v1/transfers/{}/hold", { NULL }, { NULL } } },
    { "release", "ID", "", "let a transfer go on that is held", NULL, 1, 1, false, run_admin,
      { "POST", "/api/v1/transfers/{}/release", { NULL }, { NULL } } },
    { "replay", "ID", "", "send the bytes of a transfer again, as a new one", NULL, 1, 1, false, run_admin,
      { "POST", "/api/v1/transfers/{}/replay", { NULL }, { NULL } } },
    { "say", "PARTNER TEXT", "", "say a message to a partner: CONNECT, MSG, RELEASE",
      "Prints what it answered. Ends as a transfer would: 3, 5 or 6.\n", 2, 2, false, run_admin,
      { "POST", "/api/v1/transfers/message", { "partner", "message" }, { NULL } } },
    { "history list", "[KEY=VALUE…]", "", "search the history, newest first",
      "Keys are those of GET /api/v1/transfers in docs/api.md: partner=BANK1 status=FAILED direction=SEND text=pay from=2027-01-31\n"
      "to=… size=100, sortBy=fileSize sortDir=desc; the next page: before=NEXT.\n", 0, SETTINGS_MAX, false, run_search,
      { "GET", "/api/v1/transfers", { NULL }, { NULL } } },
    { "history find", "NAME", "", "transfers that their caller named so", "The correlationId that a request gave them.\n", 1, 1, false, run_admin,
      { "GET", "/api/v1/transfers/correlation/{}", { NULL }, { NULL } } },
    { "history stats", "[PARTNER]", "", "transfers in numbers", NULL, 0, 1, false, run_admin,
      { "GET", "/api/v1/transfers/stats", { NULL }, { "partner" } } },
    { "history days", "[DAYS]", "", "those that ended, by day", NULL, 0, 1, false, run_admin,
      { "GET", "/api/v1/transfers/stats/daily", { NULL }, { "days" } } },
    { "clean", "DAYS", "", "remove the history of transfers that ended so long ago",
      "Their bytes first. What runs, waits, is offered, or stands in the inbox stays. It begins, and goes on.\n", 1, 1, false, run_admin,
      { "DELETE", "/api/v1/transfers/cleanup", { NULL }, { "olderThanDays" } } },
    { "members", "", "", "the daemons that share the store", NULL, 0, 0, false, run_admin,
      { "GET", "/api/cluster/members", { NULL }, { NULL } } },
    { "reload", "", "", "read the configuration and certificates again",
      "When the new one is wrong, says why, and the old one stays in force. Names the keys that wait for a restart.\n", 0, 0, false, run_reload, { NULL } },
    { "key create", "NAME ROLE [PARTNER]", "", "make an API key; it is shown once",
      "Roles: admin, operator, viewer, partner (of one PARTNER).\n", 2, 3, false, run_admin,
      { "POST", "/api/v1/apikeys", { "name", "role", "partner" }, { NULL } } },
    { "key list", "", "", "API keys, without their secrets", NULL, 0, 0, false, run_admin,
      { "GET", "/api/v1/apikeys", { NULL }, { NULL } } },
    { "key remove", "ID", "", "take an API key away", NULL, 1, 1, false, run_admin,
      { "DELETE", "/api/v1/apikeys/{}", { NULL }, { NULL } } },
    { "key renew", "ID", "", "give a key other bytes; they are shown once",
      "Name and rights stay, the id is new, and what it was holds no longer.\n", 1, 1, false, run_admin,
      { "POST", "/api/v1/apikeys/{}/regenerate", { NULL }, { NULL } } },
    { "key rotate-seal", "", "", "change the key that seals secrets, while all goes on",
      "Puts a new key into the daemon's key_file, seals with it what is sealed in the store and in the configuration's files,\n"
      "and takes the old key away. Run as root. Interrupted, all works with both keys: run it again.\n",
      0, 0, false, run_rotate_seal, { NULL } },
    { "audit list", "[AFTER]", "", "the audit trail, from the row after AFTER", NULL, 0, 1, false, run_admin,
      { "GET", "/api/v1/audit", { NULL }, { "after" } } },
    { "audit verify", "[SEQ HASH]", "", "whether the audit trail is whole",
      "With SEQ and HASH, noted from an earlier answer, also whether nothing was cut off. Broken: exit code 4.\n",
      0, 2, false, run_admin, { "GET", "/api/v1/audit/verify", { NULL }, { "seq", "hash" } } },
    { "partner list", "", "", "partners as the daemon has them", NULL, 0, 0, false, run_admin,
      { "GET", "/api/v1/config/partners", { NULL }, { NULL } } },
    { "partner show", "NAME", "", "one partner", NULL, 1, 1, false, run_admin,
      { "GET", "/api/v1/config/partners/{}", { NULL }, { NULL } } },
    { "partner add", "NAME [KEY=VALUE…]", "", "make a partner in the store", SETTINGS_HELP, 1, SETTINGS_MAX, false, run_define,
      { "POST", "/api/v1/config/partners", { "id" }, { NULL }, NULL, 1 } },
    { "partner set", "NAME KEY=VALUE…", "", "change keys of a partner", SETTINGS_HELP, 2, SETTINGS_MAX, false, run_define,
      { "PUT", "/api/v1/config/partners/{}", { NULL }, { NULL }, NULL, 1 } },
    { "partner enable", "NAME", "", "let a partner in and call it", NULL, 1, 1, false, run_admin,
      { "PUT", "/api/v1/config/partners/{}", { NULL }, { NULL }, "{\"enabled\":true}", 0 } },
    { "partner disable", "NAME", "", "neither let a partner in nor call it", "What is queued for it waits.\n", 1, 1, false, run_admin,
      { "PUT", "/api/v1/config/partners/{}", { NULL }, { NULL }, "{\"enabled\":false}", 0 } },
    { "partner remove", "NAME", "", "take a partner away, with its virtual files", "What is queued for it fails.\n", 1, 1, false, run_admin,
      { "DELETE", "/api/v1/config/partners/{}", { NULL }, { NULL } } },
    { "partner test", "NAME", "", "call a partner: CONNECT and RELEASE, no file",
      "Says what was agreed, or why it failed and what to do about it. Ends as a transfer would: 3, 5 or 6.\n",
      1, 1, false, run_admin, { "POST", "/api/v1/config/partners/{}/test", { NULL }, { NULL } } },
    { "file list", "[PARTNER]", "", "virtual files as the daemon has them", NULL, 0, 1, false, run_admin,
      { "GET", "/api/v1/config/files", { NULL }, { "partner" } } },
    { "file show", "PARTNER PATTERN", "", "one virtual file", NULL, 2, 2, false, run_admin,
      { "GET", "/api/v1/config/files/{}", { NULL }, { NULL } } },
    { "file add", "PARTNER PATTERN [KEY=VALUE…]", "", "make a virtual file in the store", SETTINGS_HELP, 2, SETTINGS_MAX, false, run_define,
      { "POST", "/api/v1/config/files", { "partnerId", "pattern" }, { NULL }, NULL, 2 } },
    { "file set", "PARTNER PATTERN KEY=VALUE…", "", "change keys of a virtual file", SETTINGS_HELP, 3, SETTINGS_MAX, false, run_define,
      { "PUT", "/api/v1/config/files/{}", { NULL }, { NULL }, NULL, 2 } },
    { "file remove", "PARTNER PATTERN", "", "take a virtual file away", NULL, 2, 2, false, run_admin,
      { "DELETE", "/api/v1/config/files/{}", { NULL }, { NULL } } },
    { "listener list", "", "", "where partners call in", NULL, 0, 0, false, run_admin,
      { "GET", "/api/servers", { NULL }, { NULL } } },
    { "listener add", "NAME [KEY=VALUE…]", "", "make a listener in the store; auto_start=true opens it",
      "Keys are those of listeners.[] in docs/configuration.md: address=0.0.0.0, port=5001, tls.certificate=/path\n",
      1, SETTINGS_MAX, false, run_define, { "POST", "/api/servers", { "serverId" }, { NULL }, NULL, 1 } },
    { "listener set", "NAME KEY=VALUE…", "", "change keys of a listener", NULL, 2, SETTINGS_MAX, false, run_define,
      { "PUT", "/api/servers/{}", { NULL }, { NULL }, NULL, 1 } },
    { "listener start", "NAME", "", "open a listener", NULL, 1, 1, false, run_admin,
      { "POST", "/api/servers/{}/start", { NULL }, { NULL } } },
    { "listener stop", "NAME", "", "close a listener; connections stay", "Until the next start of the daemon.\n", 1, 1, false, run_admin,
      { "POST", "/api/servers/{}/stop", { NULL }, { NULL } } },
    { "listener remove", "NAME", "", "take a listener away", NULL, 1, 1, false, run_admin,
      { "DELETE", "/api/servers/{}", { NULL }, { NULL } } },
    { "certificate list", "", "", "keystores and truststores of the store", NULL, 0, 0, false, run_admin,
      { "GET", "/api/v1/certificates", { NULL }, { NULL } } },
    { "certificate show", "NAME", "", "one keystore or truststore, without its key", NULL, 1, 1, false, run_admin,
      { "GET", "/api/v1/certificates/{}", { NULL }, { NULL } } },
    { "certificate import", "KIND NAME FILE [KEY=VALUE…]", "", "put certificates of a file into the store", CERTIFICATE_HELP, 3, SETTINGS_MAX, false,
      run_certificate, { "POST", "/api/v1/certificates/%ss", { "name", "file" }, { NULL } } },
    { "certificate create", "KIND NAME [KEY=VALUE…]", "", "make an empty keystore or truststore", CERTIFICATE_HELP, 2, SETTINGS_MAX, false,
      run_certificate, { "POST", "/api/v1/certificates/%ss/create", { "name" }, { NULL } } },
    { "certificate replace", "NAME FILE [KEY=VALUE…]", "", "other certificates under the same name", "Who uses it shows them from the next connection on.\n",
      2, SETTINGS_MAX, false, run_certificate, { "PUT", "/api/v1/certificates/%s", { "", "file" }, { NULL } } },
    { "certificate check", "NAME", "", "whether key, chain and dates are good", NULL, 1, 1, false, run_admin,
      { "POST", "/api/v1/certificates/{}/validate", { NULL }, { NULL } } },
    { "certificate expiring", "[DAYS]", "", "those that expire within days (30)", NULL, 0, 1, false, run_admin,
      { "GET", "/api/v1/certificates/expiring", { NULL }, { "days" } } },
    { "certificate remove", "NAME", "", "take a keystore or truststore away", "Refused while a partner or a listener uses it.\n", 1, 1, false, run_admin,
      { "DELETE", "/api/v1/certificates/{}", { NULL }, { NULL } } },
    { "favorite list", "", "", "transfers that are wanted again and again", NULL, 0, 0, false, run_admin,
      { "GET", "/api/v1/favorites", { NULL }, { NULL } } },
    { "favorite show", "NAME", "", "one favorite", "NAME or its id.\n", 1, 1, false, run_admin,
      { "GET", "/api/v1/favorites/{}", { NULL }, { NULL } } },
    { "favorite create", "NAME KEY=VALUE…", "", "make a favorite", FAVORITE_HELP, 2, SETTINGS_MAX, false, run_define,
      { "POST", "/api/v1/favorites", { "name" }, { NULL }, NULL, 1, true } },
    { "favorite run", "NAME", "", "make the transfer of a favorite now", NULL, 1, 1, false, run_admin,
      { "POST", "/api/v1/favorites/{}/execute", { NULL }, { NULL } } },
    { "favorite remove", "NAME", "", "take a favorite away", NULL, 1, 1, false, run_admin,
      { "DELETE", "/api/v1/favorites/{}", { NULL }, { NULL } } },
    { "schedule list", "", "", "transfers that are made by the clock", NULL, 0, 0, false, run_admin,
      { "GET", "/api/v1/schedules", { NULL }, { NULL } } },
    { "schedule show", "NAME", "", "one schedule, when it is due, and how its last run went", "NAME or its id.\n", 1, 1, false, run_admin,
      { "GET", "/api/v1/schedules/{}", { NULL }, { NULL } } },
    { "schedule create", "NAME KEY=VALUE…", "", "make a schedule", SCHEDULE_HELP, 2, SETTINGS_MAX, false, run_define,
      { "POST", "/api/v1/schedules", { "name" }, { NULL }, NULL, 1, true } },
    { "schedule set", "NAME KEY=VALUE…", "", "change a schedule; it is due anew", SCHEDULE_HELP, 2, SETTINGS_MAX, false, run_define,
      { "PUT", "/api/v1/schedules/{}", { NULL }, { NULL }, NULL, 1, true } },
    { "schedule run", "NAME", "", "make the transfer of a schedule now, beside its due times", NULL, 1, 1, false, run_admin,
      { "POST", "/api/v1/schedules/{}/run", { NULL }, { NULL } } },
    { "schedule enable", "NAME", "", "switch a schedule on", NULL, 1, 1, false, run_admin,
      { "PUT", "/api/v1/schedules/{}", { NULL }, { NULL }, "{\"enabled\":true}", 0 } },
    { "schedule disable", "NAME", "", "switch a schedule off", "What it has begun goes on.\n", 1, 1, false, run_admin,
      { "PUT", "/api/v1/schedules/{}", { NULL }, { NULL }, "{\"enabled\":false}", 0 } },
    { "schedule remove", "NAME", "", "take a schedule away", "What it has begun goes on.\n", 1, 1, false, run_admin,
      { "DELETE", "/api/v1/schedules/{}", { NULL }, { NULL } } },
    { "calendar list", "", "", "calendars of working days", NULL, 0, 0, false, run_admin,
      { "GET", "/api/v1/calendars", { NULL }, { NULL } } },
    { "calendar show", "NAME", "", "one calendar", "NAME or its id.\n", 1, 1, false, run_admin,
      { "GET", "/api/v1/calendars/{}", { NULL }, { NULL } } },
    { "calendar create", "NAME [KEY=VALUE…]", "", "make a calendar", CALENDAR_HELP, 1, SETTINGS_MAX, false, run_define,
      { "POST", "/api/v1/calendars", { "name" }, { NULL }, NULL, 1, true } },
    { "calendar set", "NAME KEY=VALUE…", "", "change a calendar", CALENDAR_HELP, 2, SETTINGS_MAX, false, run_define,
      { "PUT", "/api/v1/calendars/{}", { NULL }, { NULL }, NULL, 1, true } },
    { "calendar remove", "NAME", "", "take a calendar away", "Refused while a schedule names it.\n", 1, 1, false, run_admin,
      { "DELETE", "/api/v1/calendars/{}", { NULL }, { NULL } } },
    { "cluster list", "", "", "clusters", NULL, 0, 0, false, run_admin,
      { "GET", "/api/v1/clusters", { NULL }, { NULL } } },
    { "cluster show", "ID", "", "one cluster", NULL, 1, 1, false, run_admin,
      { "GET", "/api/v1/clusters/{}", { NULL }, { NULL } } },
    { "cluster create", "NAME", "", "make a cluster, with its schema and its role",
      "databasePassword in the answer is the role's: it is shown this once. Interrupted: run it again.\n", 1, 1, false, run_admin,
      { "POST", "/api/v1/clusters", { "name" }, { NULL } } },
    { "cluster renew-password", "ID", "", "give the role of a cluster another password",
      "It is shown this once. The one before holds no longer; connections that are open go on.\n", 1, 1, false, run_admin,
      { "POST", "/api/v1/clusters/{}/credentials", { NULL }, { NULL } } },
    { "cluster remove", "ID [NAME]", "", "drop a cluster, with its schema and its role",
      "NAME, that of the cluster, says that its history and its definitions may go. Refused while a daemon uses it, or a\n"
      "transfer has not ended.\n",
      1, 2, false, run_admin, { "DELETE", "/api/v1/clusters/{}", { NULL }, { "confirm" }, NULL, 1 } },
    { "cluster destroy", "ID NAME", "", "drop a cluster whatever is in it",
      "Its daemons are thrown out, and transfers that have not ended are lost.\n", 2, 2, false, run_admin,
      { "DELETE", "/api/v1/clusters/{}?force=true", { NULL }, { "confirm" }, NULL, 1 } },
    { "api", "METHOD PATH [JSON]", "", "any request of the administration API",
      "Prints the answer as it came.\n", 2, 3, false, run_api, { NULL } },
    { "check-config", "[FILE]", "", "check a configuration file (/etc/pesitfs/pesitd.conf)",
      "Runs pesitd --check-config: file, line and the nearest known key of what is wrong.\n",
      0, 1, true, run_check_config, { NULL } },
    { "seal", "", "key-file", "seal a password from standard input with --key-file", NULL, 0, 0, true, run_seal, { NULL } },
    { "verifier", "", "", "make a verifier of a password from standard input",
      "For password_received: it can be compared, never read.\n", 0, 0, true, run_verifier, { NULL } },
    { "backup", "FILE", "", "configuration and store of the running daemon in a file",
      "Consistent, sealed with the configuration's key_file, which is not in it; nor are spool and inbox. FILE appears whole\n"
      "or not at all, and ends with its checksum.\n",
      1, 1, false, run_backup, { NULL } },
    { "restore", "FILE", "to key-file postgres schema", "put a backup into an empty folder --to, with --key-file",
      "The store becomes store.db in the folder, or goes to the empty --schema of --postgres, whichever it came from. Nothing\n"
      "is made of a backup that is damaged, of a newer version, or sealed with another key.\n",
      1, 1, true, run_restore, { NULL } },
    { "decode", "[FILE]", "", "print the FPDUs of a capture, bytes or hexadecimal text",
      "FILE is - or missing: standard input. FPDUs may follow each other bare, or each entity behind the two bytes\n"
      "of its length. In text, # begins a comment, and < or > in front of a line tells its direction.\n"
      "Passwords are masked. What breaks is named with its offset, and what was good before it is printed.\n",
      0, 1, true, run_decode, { NULL } },
    { NULL },
};
/* clang-format on */

/* looking up */

const Option *option_find(const char *name)
{
    for (const Option *option = OPTIONS; option->name != NULL; option++) {
        if (strcmp(option->name, name) == 0)
            return option;
    }
    return NULL;
}

const char *option_nearest(const char *name)
{
    const Option *nearest = OPTIONS;

    for (const Option *option = OPTIONS; option->name != NULL; option++) {
        if (spelling_distance(name, option->name) < spelling_distance(name, nearest->name))
            nearest = option;
    }
    return nearest->name;
}

bool verb_takes(const Verb *verb, const Option *option)
{
    g_auto(GStrv) own = g_strsplit(verb->options, " ", -1);

    return option->everywhere || g_strv_contains((const char *const *)own, option->name);
}

static bool is_of_group(const Verb *verb, const char *noun)
{
    size_t length = strlen(noun);

    return strncmp(verb->name, noun, length) == 0 && verb->name[length] == ' ';
}

/* The second words of a noun, new: "create, list or remove"; NULL when it is none. */
static char *list_group(const char *noun)
{
    GString *text = NULL;

    for (const Verb *verb = VERBS; verb->name != NULL; verb++) {
        if (!is_of_group(verb, noun))
            continue;
        if (text == NULL)
            text = g_string_new(NULL);
        else
            g_string_append(text, is_of_group(verb + 1, noun) ? ", " : " or ");
        g_string_append(text, verb->name + strlen(noun) + 1);
    }
    return text != NULL ? g_string_free(text, FALSE) : NULL;
}

/* The nearest of the names of verbs and of their groups, borrowed or from the heap of texts; new. */
static char *find_nearest(const char *words)
{
    g_autofree char *nearest = NULL;
    unsigned best = NEAR + 1;

    for (const Verb *verb = VERBS; verb->name != NULL; verb++) {
        g_auto(GStrv) parts = g_strsplit(verb->name, " ", 2);
        unsigned whole = spelling_distance(words, verb->name);
        unsigned noun = spelling_distance(words, parts[0]);

        if (MIN(whole, noun) >= best)
            continue;
        best = MIN(whole, noun);
        g_free(nearest);
        nearest = g_strdup(noun < whole ? parts[0] : verb->name);
    }
    return g_steal_pointer(&nearest);
}

static void complain(char **words, GError **error)
{
    g_autofree char *known = words[0] != NULL ? list_group(words[0]) : NULL;
    g_autofree char *said = known != NULL && words[1] != NULL
                                    ? g_strconcat(words[0], " ", words[1], NULL)
                                    : g_strdup(words[0]);
    g_autofree char *nearest = said != NULL ? find_nearest(said) : NULL;

    if (said == NULL)
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "no verb");
    else if (known != NULL && words[1] == NULL)
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'%s' is followed by %s", said, known);
    else if (known != NULL && nearest == NULL)
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "no verb '%s': '%s' is followed by %s",
                    said, words[0], known);
    else if (nearest != NULL)
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "no verb '%s', did you mean '%s'?", said,
                    nearest);
    else
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "no verb '%s'", said);
}

const Verb *verb_find(char **words, size_t *ret_words, GError **error)
{
    for (const Verb *verb = VERBS; words[0] != NULL && verb->name != NULL; verb++) {
        bool single = strcmp(verb->name, words[0]) == 0;
        bool both = words[1] != NULL && is_of_group(verb, words[0]) &&
                    strcmp(verb->name + strlen(words[0]) + 1, words[1]) == 0;

        if (!single && !both)
            continue;
        *ret_words = single ? 1 : 2;
        return verb;
    }
    complain(words, error);
    return NULL;
}

/* texts */

/* Bytes that have no column of their own. */
static int count_hidden(const char *text)
{
    return (int)(strlen(text) - (size_t)g_utf8_strlen(text, -1));
}

static void append_verbs(GString *text, const char *noun)
{
    for (const Verb *verb = VERBS; verb->name != NULL; verb++) {
        g_autofree char *head = g_strconcat(verb->name, " ", verb->arguments, NULL);

        if (noun == NULL || is_of_group(verb, noun))
            g_string_append_printf(text, "  %-*s %s\n", HEAD_COLUMNS + count_hidden(head), head,
                                   verb->summary);
    }
}

/* of: NULL for those that go everywhere. */
static void append_options(GString *text, const char *title, const Verb *of)
{
    bool first = true;

    for (const Option *option = OPTIONS; option->name != NULL; option++) {
        char letter[] = {'-', option->letter, ',', '\0'};
        g_autofree char *head = g_strdup_printf(
                "%3s --%s%s%s", option->letter != '\0' ? letter : "", option->name,
                option->value != NULL ? " " : "", option->value != NULL ? option->value : "");

        if (of == NULL ? !option->everywhere : option->everywhere || !verb_takes(of, option))
            continue;
        if (first)
            g_string_append(text, title);
        first = false;
        g_string_append_printf(text, "  %-25s %s\n", head, option->summary);
        if (option->choices != NULL)
            g_string_append_printf(text, "  %-25s %s\n", "", option->choices);
    }
}

char *verb_describe_all(void)
{
    GString *text =
            g_string_new("usage: pesitctl [OPTION…] VERB [ARGUMENT…]\n\n"
                         "An operator's words to pesitd: transfers, administration, traces.\n\n"
                         "Verbs:\n");

    append_verbs(text, NULL);
    append_options(text, "\nOptions of every verb:\n", NULL);
    g_string_append(text, "\nExit codes:\n");
    for (int code = 0; exit_meaning(code) != NULL; code++)
        g_string_append_printf(text, "  %d  %s\n", code, exit_meaning(code));
    g_string_append(text, "\npesitctl help VERB tells more of a verb, with its own options.\n");
    return g_string_free(text, FALSE);
}

char *verb_usage(const Verb *verb)
{
    return g_strdup_printf("usage: pesitctl %s%s%s", verb->name,
                           verb->arguments[0] != '\0' ? " " : "", verb->arguments);
}

static char *describe_verb(const Verb *verb)
{
    g_autofree char *usage = verb_usage(verb);
    GString *text = g_string_new(usage);

    g_string_append_printf(text, "\n\n%s\n%s", verb->summary, verb->help != NULL ? verb->help : "");
    append_options(text, "\nOptions:\n", verb);
    append_options(text, "\nOptions of every verb:\n", NULL);
    return g_string_free(text, FALSE);
}

char *verb_describe(char **words, GError **error)
{
    g_autofree char *known = words[1] == NULL ? list_group(words[0]) : NULL;
    size_t count;
    const Verb *verb = known == NULL ? verb_find(words, &count, error) : NULL;
    GString *text;

    if (known == NULL)
        return verb != NULL ? describe_verb(verb) : NULL;
    text = g_string_new("usage: pesitctl ");
    g_string_append_printf(text, "%s VERB [ARGUMENT…]\n\n", words[0]);
    append_verbs(text, words[0]);
    return g_string_free(text, FALSE);
}

char *verb_list(void)
{
    GString *text = g_string_new(NULL);

    for (const Verb *verb = VERBS; verb->name != NULL; verb++)
        g_string_append_printf(text, "verb\t%s\t%s\t%s\t%s\n", verb->name, verb->arguments,
                               verb->options, verb->summary);
    for (const Option *option = OPTIONS; option->name != NULL; option++)
        g_string_append_printf(text, "option\t%s\t%s\t%s\t%s\t%.1s\t%s\n", option->name,
                               option->value != NULL ? option->value : "",
                               option->everywhere ? "everywhere" : "", option->summary,
                               &option->letter, option->choices != NULL ? option->choices : "");
    for (int code = 0; exit_meaning(code) != NULL; code++)
        g_string_append_printf(text, "exit\t%d\t%s\n", code, exit_meaning(code));
    return g_string_free(text, FALSE);
}
