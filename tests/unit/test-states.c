/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transition tables against a second writing of them, tests/vectors/states-*.txt: every state, every FPDU, sent
 * and received, under every combination of the facts. What the vectors do not name must be refused.
 */
#include "protocol/fpdu.h"
#include "protocol/states.h"

#include <glib.h>
#include <string.h>

#define FACTS 16 /* combinations of the four */

typedef struct {
    TransitionKind kind;
    State next;
} Cell;

typedef Cell Matrix[STATE_COUNT][2][PESIT_FPDU_COUNT][FACTS];

static StateFacts facts_of(unsigned bits)
{
    return (StateFacts){.stopped_early = (bits & 1) != 0,
                        .reading = (bits & 2) != 0,
                        .synchronised = (bits & 4) != 0,
                        .positive = (bits & 8) != 0};
}

static State find_state(PesitRole role, const char *name)
{
    if (strcmp(name, "over") == 0)
        return STATE_OVER; /* its name is CN01's */
    for (unsigned state = 0; state < STATE_COUNT; state++) {
        if (state != STATE_OVER && strcmp(states_name(role, (State)state), name) == 0)
            return (State)state;
    }
    g_error("no state has the name '%s'", name);
}

static PesitFpduType find_type(const char *name)
{
    for (unsigned type = 1; type < PESIT_FPDU_COUNT; type++) {
        if (strcmp(pesit_fpdu_name((PesitFpduType)type), name) == 0)
            return (PesitFpduType)type;
    }
    g_error("no FPDU has the name '%s'", name);
}

/* "+", "-", "ck", "dr", "!dr", "!ab", "" */
static bool holds(const char *condition, unsigned bits)
{
    StateFacts facts = facts_of(bits);

    if (strcmp(condition, "+") == 0)
        return facts.positive;
    if (strcmp(condition, "-") == 0)
        return !facts.positive;
    if (strcmp(condition, "ck") == 0)
        return facts.synchronised;
    if (strcmp(condition, "dr") == 0)
        return facts.reading;
    if (strcmp(condition, "!dr") == 0)
        return !facts.reading;
    if (strcmp(condition, "!ab") == 0)
        return !facts.stopped_early;
    g_error("no condition has the name '%s'", condition);
}

static void take_line(PesitRole role, const char *line, Matrix *matrix)
{
    g_auto(GStrv) words = g_regex_split_simple(" +", line, 0, 0);
    State state = find_state(role, words[0]);
    int move = words[1][0] == '!' ? MOVE_SEND : MOVE_RECEIVE;
    PesitFpduType type = find_type(words[1] + 1);
    bool drop = strcmp(words[3], "drop") == 0;

    g_assert_cmpstr(words[2], ==, "->");
    for (unsigned bits = 0; bits < FACTS; bits++) {
        Cell *cell = &(*matrix)[state][move][type][bits];
        bool all = true;

        for (char **word = words + 4; *word != NULL; word++)
            all = all && holds(*word, bits);
        if (!all)
            continue;
        g_assert_cmpint(cell->kind, ==, TRANSITION_NONE); /* said once */
        *cell = (Cell){drop ? TRANSITION_DROP : TRANSITION_TAKE,
                       drop ? state : find_state(role, words[3])};
    }
}

static unsigned read_vectors(PesitRole role, const char *file, Matrix *matrix)
{
    g_autofree char *path = g_build_filename(g_getenv("SOURCE_ROOT"), "tests/vectors", file, NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    unsigned count = 0;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
        g_strstrip(*line);
        if (**line == '\0' || **line == '#')
            continue;
        take_line(role, *line, matrix);
        count++;
    }
    return count;
}

/* The other data FPDUs are not in the tables: they come as DTF. */
static bool is_by_itself(unsigned type)
{
    return type == PESIT_FPDU_DTF || !pesit_fpdu_is_data((PesitFpduType)type);
}

static void compare(PesitRole role, unsigned state, unsigned move, unsigned type,
                    const Cell expected[FACTS])
{
    for (unsigned bits = 0; bits < FACTS; bits++) {
        StateFacts facts = facts_of(bits);
        State next = STATE_COUNT;
        TransitionKind kind =
                states_find(role, (State)state, (Move)move, (PesitFpduType)type, &facts, &next);

        if (kind != expected[bits].kind || (kind != TRANSITION_NONE && next != expected[bits].next))
            g_error("%s %c%s, facts %x: %d to %s, must be %d to %s",
                    states_name(role, (State)state), move == MOVE_SEND ? '!' : '?',
                    pesit_fpdu_name((PesitFpduType)type), bits, kind,
                    kind != TRANSITION_NONE ? states_name(role, next) : "nothing",
                    expected[bits].kind, states_name(role, expected[bits].next));
    }
}

static void check_matrix(PesitRole role, const char *file, unsigned least)
{
    static Matrix matrix;

    memset(matrix, 0, sizeof matrix);
    g_assert_cmpuint(read_vectors(role, file, &matrix), >=, least);
    for (unsigned state = 0; state < STATE_COUNT; state++) {
        for (unsigned move = 0; move < 2; move++) {
            for (unsigned type = 1; type < PESIT_FPDU_COUNT; type++) {
                if (is_by_itself(type))
                    compare(role, state, move, type, matrix[state][move][type]);
            }
        }
    }
}

static void test_requester(void)
{
    check_matrix(PESIT_ROLE_REQUESTER, "states-requester.txt", 70);
}

static void test_server(void)
{
    check_matrix(PESIT_ROLE_SERVER, "states-server.txt", 68);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/states/requester", test_requester);
    g_test_add_func("/states/server", test_server);
    return g_test_run();
}
