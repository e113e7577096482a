# SPDX-License-Identifier: Apache-2.0
"""Every conformance case by its stable number: group, role, title. Gaps in the numbers are intended.

Roles: S our server is tested, Q our requester, B both (two halves), U without a network."""
from dataclasses import dataclass

GROUPS = {
    "A": "framing and codec", "B": "CRC", "C": "connection and options", "D": "access control", "E": "selection",
    "F": "opening, compression option", "G": "write", "H": "read", "I": "synchronisation points", "J": "resynchronisation",
    "K": "interruption", "L": "restart", "M": "articles and packing", "N": "compression", "O": "messages, relay",
    "P": "timers", "Q": "hostile input", "R": "several files", "S": "captured exchanges",
}
HALVES = {"S": ("server",), "Q": ("requester",), "B": ("server", "requester"), "U": ("codec",)}
# what the product does not do yet: cases of these wait for it
NOT_BUILT = {
    "CRC": (41, 42, 45, 46, 47, 49, 50, 51, 53, 54, 55),
    "resynchronisation": (229, 230, 231, 233, 234, 235, 237, 239, 241, 242, 243, 245, 246, 247, 261),
    "restart in the middle of a file": (221, 257, 273, 274, 275, 282, 283, 285, 286, 289, 290, 291, 294, 295, 297, 302, 303, 413),
    "compression": (154, 209, *range(333, 347)),
    "messages and relay": (347, 350, 351, *range(357, 372), 406),
    "EBCDIC": (317, 370),
}

_ROWS = """
A 1 S CONNECT octet by octet
A 2 S three entities in one segment
A 3 S several messages in one entity
A 5 S entity above the agreed size
A 6 S message longer than its entity
A 7 S octets left over in an entity
A 9 S type without a meaning
A 10 S phase octet of another family
A 11 S recipient is not us
A 13 S CONNECT without an own number
A 14 S CONNECT that names a recipient
A 15 Q ACONNECT for another number
A 17 U one-octet and three-octet lengths
A 18 S free text of blanks
A 19 S label of 300 octets
A 21 S parameter beyond the end of the message
A 22 S parameter beyond the end of its group
A 23 S group within a group
A 25 S parameters out of order
A 26 S unknown parameter
A 27 U numbers in their shortest form
A 29 S padded partner name
A 30 S CREATE without a name
A 31 S SYN without a number
A 33 S date of 11 digits
A 34 B all forms of ABORT understood
A 35 B own ABORT in its bare form
A 37 Q RCONNECT with a sender's number
A 38 U every message there and back
A 39 B largest data message
B 41 U FF for 00 in a check
B 42 S every message checked
B 43 S announced check absent
B 45 S CONNECT with a wrong check
B 46 S CREATE with a wrong check
B 47 S damaged data are asked again
B 49 Q damaged data are asked again
B 50 S damaged point is asked again
B 51 S two messages in a checked entity
B 53 B counts are there with a check
B 54 S checks switched off
B 55 S too many damaged messages
C 57 S pre-connection with length, then CONNECT
C 58 S pre-connection without length, then CONNECT
C 59 S pre-connection decides nothing
C 61 Q pre-connection never answered
C 62 S version above ours
C 63 S older version
C 65 Q version answered above ours
C 66 S own points are lower
C 67 S partner's points are lower
C 69 S interval left open by both
C 70 S we want no points
C 71 S partner proposes no points
C 73 S points are required
C 74 Q interval raised by the answer
C 75 Q window raised by the answer
C 77 Q resynchronisation raised by the answer
C 78 S illegal resynchronisation option
C 79 S illegal access type
C 81 S reading not supported
C 82 S watchdog value has no effect
C 83 S one connection too many
C 85 S CONNECT twice
C 86 S CREATE without CONNECT
C 87 Q CONNECT from a server
C 89 S RELEASE with a file selected
C 90 Q lost before RELCONF
C 91 Q told to call later
C 93 Q ABORT instead of an answer
C 94 S orderly stop while idle
D 95 S unknown partner
D 97 S disabled partner
D 98 S no password
D 99 S outside its hours
D 101 S padded password
D 102 S called by another name
D 103 S wrong name and wrong password
D 105 S calls from elsewhere
D 106 S may only write
D 107 S password changed
D 109 S password cannot be changed
D 110 Q server's password wrong
D 111 Q server's password absent
D 113 B no password in the trace
D 114 S names in a file grant nothing
E 115 B file created
E 117 S entity size as proposed
E 118 S entity size lowered
E 119 Q entity size raised by the answer
E 121 S entity size without room
E 122 S entity too small without segments
E 123 Q entity lowered too far without segments
E 125 S file exists
E 126 S file in use
E 127 S quota
E 129 S CREATE on a reading connection
E 130 S SELECT on a writing connection
E 131 S unknown file
E 133 S generic name
E 134 S transfer number given by us
E 135 S foreign transfer number is no harm
E 137 S articles as unit without fixed format
E 138 S article length 0
E 139 S illegal data code
E 141 S indexed file
E 142 S sealing asked for
E 143 S reserved file type
E 145 Q bare refusal
E 146 Q groups that were not asked for
E 147 Q no transfer number in the answer
E 149 S given up before opening
E 150 Q received but not delivered
E 151 S names that are paths
F 153 B opened without compression
F 154 S horizontal out of both
F 155 S vertical refused
F 157 Q compression raised by the answer
F 158 Q compression out of nothing
F 159 S illegal compression option
F 161 S opened twice
F 162 S closed and opened again
F 163 S closed before opening
F 165 Q warning at closing
G 166 B the whole dialogue of a write
G 167 B empty file
G 169 B count of 5 GiB
G 170 S restart point of a new file is 0
G 171 Q restart point out of nothing
G 173 S READ of a file to be written
G 174 S data before WRITE
G 175 S data after their end
G 177 Q WRITE refused
G 178 S disk full
G 179 S write error
G 181 S article count differs
G 182 S no counts given
G 183 Q byte count of the answer differs
G 185 S larger than announced
G 186 S sender reports an error
G 187 S durable before it is acknowledged
G 189 Q source cannot be read
G 190 Q source becomes shorter
G 191 Q answer out of place
H 193 Q durable before it is acknowledged
H 194 S restart point of a new file
H 195 S source vanished
H 197 Q sender reports an error
H 198 Q byte count of the answer differs
H 199 S byte count differs
H 201 S source kept when the link is lost
H 202 S late acknowledgement
H 203 S closed without its end
H 205 Q file made as described
I 206 Q points at whole multiples
I 207 Q points before the interval is passed
I 209 Q interval counts compressed octets
I 210 Q window stops the sender
I 211 Q one acknowledgement for two points
I 213 Q acknowledgement of a point to come
I 214 Q window 0 never waits
I 215 S point left out
I 217 S no point within the interval
I 218 S more points than the window
I 219 S window 0 is not acknowledged
I 221 S power cut after an acknowledgement
I 222 S durable before a point is acknowledged
I 223 Q end without waiting for points
I 225 B points above 255 and 65535
I 226 S open interval
I 227 S two points without data
J 229 Q goes back to a point
J 230 Q asks to go back
J 231 S goes back to a point
J 233 Q point forgotten
J 234 Q answered with a lower point
J 235 S answered with a higher point
J 237 Q point below the acknowledged ones
J 238 B not agreed
J 239 Q both at once
J 241 Q after the end
J 242 S before the end is answered
J 243 S end already on its way
J 245 B counts once
J 246 B reference is empty
J 247 S piece of an article is dropped
J 249 S nothing to go back in
K 250 Q operator cancels
K 251 S operator cancels
K 253 S partner stops for an error
K 254 S partner suspends
K 255 Q cancelled while reading
K 257 B suspended for another file
K 258 Q both at once
K 259 S both at once
K 261 S stopped while going back
K 262 S dropped until acknowledged
K 263 Q stopped at its end
K 265 S written again after a cancel
K 266 S opened again after a suspension
K 267 S written again after an error
K 269 S unknown end code
K 270 Q acknowledgement with a diagnostic
K 271 S stopped before it started
L 273 B goes on at the stored point
L 274 B sender knows less
L 275 S partial file is gone
L 277 S nothing known of it
L 278 Q refused as unknown
L 279 Q refused in another way
L 281 Q last answer lost
L 282 B reading goes on
L 283 S unknown point
L 285 S source changed at the server
L 286 Q source changed at the requester
L 287 S restart of transfer 0
L 289 Q point that was never sent
L 290 Q point below the acknowledged ones
L 291 S another partner's transfer
L 293 S same number as a new file
L 294 B first article without reference
L 295 B another interval
L 297 B window 0
L 298 B receiver killed at each step
L 299 B sender killed at each step
L 301 S too old
L 302 B after a suspension
L 303 B counts of a restarted file
M 305 Q records that do not divide the file
M 306 S record of another length
M 307 S article too long
M 309 B lines end in LF
M 310 B lines end in CR LF
M 311 B last line without an end
M 313 Q empty line as a blank
M 314 B empty line as nothing
M 315 Q line too long
M 317 B EBCDIC on the wire
M 318 B all octets untouched
M 319 Q at most 255 articles together
M 321 S count differs from the lengths
M 322 S one article with a length
M 323 S one article without a length
M 325 B article in pieces
M 326 S article within an article
M 327 S end of an article that did not begin
M 329 S article across entities
M 330 S data message without data
M 331 S forms that we do not send
N 333 U repeated octets
N 334 U octets as before
N 335 U both together
N 337 U there and back
N 338 S reserved header
N 339 S string of length 0
N 341 S vertical string where not agreed
N 342 S vertical string after a restart
N 343 S article grows too long
N 345 B counts compressed octets
N 346 B refused, sent plain
O 347 B short message
O 349 S message about transfer 0
O 350 B longest message
O 351 B message in parts
O 353 S file within a message
O 354 S message without an end
O 355 S messages not taken
O 357 S message repeated
O 358 Q file acknowledged by its receiver
O 359 S acknowledgement arrives
O 361 S acknowledgement repeated
O 362 S free message
O 363 Q acknowledgement on a connection of its own
O 365 Q names kept through a relay
O 366 S no route
O 367 S route that leads back
O 369 B link behind the relay is cut
O 370 B EBCDIC through a relay
O 371 S acknowledgement through a relay
P 373 S nothing after connecting
P 374 S half a CONNECT
P 375 Q no answer to CONNECT
P 377 S silence while receiving
P 378 Q silence while receiving
P 379 Q points not acknowledged
P 381 Q nothing left to do
P 382 S messages keep the connection
P 383 B slow is not silent
P 385 B partner does not read
P 386 S partner does not close after RELCONF
P 387 B partner does not close after ABORT
P 389 S slow disk
Q 390 S other protocols
Q 391 S length without content
Q 393 B every message in every state
Q 394 B every message mutated
Q 395 S connection reset within data
Q 397 S talk after ABORT
Q 398 S largest announced size
Q 399 S largest count
Q 401 S escape sequences
Q 402 B told to end
Q 403 S a million small articles
R 405 B three files in a row
R 406 B files both ways and a message
R 407 B refused, then accepted
R 409 S two connections with one number
R 410 S one file from two connections
R 411 Q many files, few connections
R 413 S two transfers of one name
S 414 S captured push
S 415 S captured pull
S 417 S captured SELECT
S 418 Q captured wrong article count
S 419 U captured damaged frames
"""


@dataclass(frozen=True)
class Row:
    number: int
    group: str
    role: str
    title: str

    @property
    def halves(self):
        return HALVES[self.role]


CASES = {}
for line in _ROWS.strip().splitlines():
    group, number, role, title = line.split(" ", 3)
    CASES[int(number)] = Row(int(number), group, role, title)


def waits_for(number):
    """What has to be built before a case can be tried; None when nothing."""
    return next((what for what, numbers in NOT_BUILT.items() if number in numbers), None)
