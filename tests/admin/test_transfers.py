# SPDX-License-Identifier: Apache-2.0
"""Files go and come through the API, and what is told of them is what happened."""
import json
import random
import re
import threading
import uuid

import pytest
import waiting
from admin import Api
from mounted import Mounted
from peer import Requester

FILE = random.Random(5).randbytes(5_000_000)
RAW = {"Content-Type": "application/octet-stream"}


def form(fields, data):
    """multipart/form-data as curl -F sends it."""
    mark = uuid.uuid4().hex
    parts = ["--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n" % (mark, name, value)
             for name, value in fields.items()]
    head = "".join(parts) + ("--%s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n"
                             "Content-Type: application/octet-stream\r\n\r\n" % mark)
    return head.encode() + data + ("\r\n--%s--\r\n" % mark).encode(), "multipart/form-data; boundary=" + mark


def wait(api, transfer, state="done"):
    api.node.control("wait", transfer, check=False)
    answer = api.get("/api/v1/transfers/%d" % transfer).json
    assert answer["state"] == state, answer
    return answer


def test_multipart_upload_arrives(api, bank):
    body, kind = form({"partnerId": "BANK1", "path": "out/a.xml"}, FILE)
    answer = api.post("/api/v1/transfers/send", body, Content_Type=kind)
    assert answer.status == 202, answer
    sent = wait(api, answer.json["transferId"])
    assert (sent["status"], sent["fileSize"], sent["bytesTransferred"]) == ("COMPLETED", len(FILE), len(FILE))
    assert bank.received("in/a.xml") == FILE
    assert [t["filename"] for t in Api(bank).get("/api/v1/transfers").json["content"]] == ["in/a.xml"]


def test_raw_upload_chunked_and_downloaded_in_parts(api):
    path = "/api/v1/transfers/send?partner=BANK1&path=out/b.xml"
    connection = api.connect()
    pieces = (FILE[i:i + 100_000] for i in range(0, len(FILE), 100_000))
    connection.request("POST", path, pieces, {**RAW, "X-API-Key": api.key}, encode_chunked=True)
    answer = connection.getresponse()
    transfer = json.loads(answer.read())["transferId"]
    wait(api, transfer)
    where = "/api/v1/transfers/%d/download" % transfer
    whole = api.get(where)
    assert whole.status == 200 and whole.body == FILE
    part = api.get(where, Range="bytes=1000-1999")
    assert part.status == 206 and part.body == FILE[1000:2000]
    assert part.headers["Content-Range"] == "bytes 1000-1999/%d" % len(FILE)
    assert api.get(where, Range="bytes=-10").body == FILE[-10:]
    assert api.get(where, Range="bytes=%d-" % len(FILE)).status == 416
    etag = whole.headers["ETag"]
    assert api.get(where, If_None_Match=etag).status == 304
    assert api.get(where, If_Match=etag).status == 200 and api.get(where, If_Match='"other"').status == 412
    assert api.get(where, If_Range=etag, Range="bytes=1-").body == FILE[1:]
    assert api.get(where, If_Range='"other"', Range="bytes=1-").status == 200  # of another file he gets the whole


def test_a_form_says_each_thing_once(api, company):
    send, (body, kind) = "/api/v1/transfers/send", form({"partner": "BANK1", "path": "out/a"}, b"x")
    mark, twice = kind.split("=")[1].encode(), body.replace(b'name="path"\r\n\r\nout/a\r\n', b'name="path"\r\n\r\n%s\r\n')
    part = b'--%s\r\nContent-Disposition: form-data; name="path"\r\n\r\nb\r\n' % mark
    for wrong, told in ((part + body, "path: it is there twice"), (twice % (b"out/" + b"a" * 2000), "path: it is too long"),
                        (twice % b"out/\xff", "path: it is no UTF-8"), (body[:body.rindex(b"--" + mark)] + body, "twice")):
        answer = api.post(send, wrong, Content_Type=kind)
        assert answer.status == 400 and told in answer.json["detail"], answer
    for name in ("colour", "password"):
        other, kind = form({"partner": "BANK1", "path": "out/a", name: "x"}, b"x")
        answer = api.post(send, other, Content_Type=kind)
        assert (answer.status, answer.json["field"]) == (400, name), answer
    assert api.get("/api/v1/transfers").json["content"] == [] and list((company.folder / "spool/staging").iterdir()) == []


def test_same_idempotency_key_sends_once(api, bank):
    path = "/api/v1/transfers/send?partner=BANK1&path=out/once"
    first = api.post(path, b"x", Idempotency_Key="k1", **{"Content-Type": RAW["Content-Type"]})
    again = api.post(path, b"x", Idempotency_Key="k1", **{"Content-Type": RAW["Content-Type"]})
    assert first.status == again.status == 202 and first.json["transferId"] == again.json["transferId"]
    wait(api, first.json["transferId"])
    assert bank.inbox() == ["COMPANY/in/once"]
    other = api.post(path + "2", b"x", Idempotency_Key="k1")
    assert other.status == 422 and other.json["type"] == "urn:pesitfs:problem:idempotency"
    assert api.post(path, b"xy", Idempotency_Key="k1").status == 422
    assert api.post(path, b"y", Idempotency_Key="k1").status == 422  # as many bytes, but others
    for key in ("", "k" * 256, "k\u00e9"):
        assert api.post(path, b"x", Idempotency_Key=key).json["field"] == "Idempotency-Key"
    rows = [json.loads(row["details"]) for row in api.get("/api/v1/audit?action=POST+send").json["content"]]
    assert rows[0]["after"]["transferId"] == first.json["transferId"] and rows[0]["before"] is None and "after" not in rows[1]


def test_answers_are_kept_through_a_restart_and_for_a_week(api, company):
    path = "/api/v1/transfers/send?partner=BANK1&path=offer/once"
    first = api.post(path, b"x", Idempotency_Key="k1").json["transferId"]

    def again(change):
        company.stop()
        change()
        company.start()
        return Api(company, index=-1).post(path, b"x", Idempotency_Key="k1")

    repeated = again(lambda: None)
    assert repeated.headers["Idempotent-Replayed"] == "true" and repeated.json["transferId"] == first
    anew = again(lambda: company.sql("UPDATE admin_records SET updated_us = updated_us - 8 * 86400000000 WHERE kind = 'answer'"))
    assert anew.headers["Idempotent-Replayed"] is None, anew


def test_what_is_wrong_with_a_file_is_named(api, bank):
    """By the name under which the caller said it."""
    def send(query, data=b"x"):
        answer = api.post("/api/v1/transfers/send?" + query, data)
        assert answer.status < 500, answer
        return answer.json.get("field")

    assert send("server=NOBODY&path=out/x") == "server" and send("partnerId=NOBODY&path=out/x") == "partnerId"
    assert send("partner=BANK1&remoteFilename=nowhere/x") == "remoteFilename" and send("partner=BANK1&path=out/%C3%A9") == "path"
    assert send("partner=BANK1&path=out/" + "y" * 300) == send("partner=BANK1&path=") == "path"
    assert send("partner=BANK1&path=out/x", b"") == "file"
    bank.stop()
    waits = api.post("/api/v1/transfers/send?partner=BANK1&path=out/twice", b"x").json["transferId"]
    again = api.post("/api/v1/transfers/send?partner=BANK1&path=out/twice", b"y")
    assert (again.status, again.json["field"]) == (409, "path") and str(waits) in again.json["detail"], again
    assert api.post("/api/v1/transfers/%d/cancel" % waits).status == 202
    assert api.post("/api/v1/config/files", {"partnerId": "BANK1", "pattern": "small/*", "mode": "send", "maxFileSize": 1048576}).status == 201
    assert send("partner=BANK1&path=small/x", bytes(1048577)) == "file"

    def receive(**body):
        answer = api.post("/api/v1/transfers/receive", body)
        return answer.json.get("field")

    assert receive(server="NOBODY", path="in/x") == "server" and receive(partnerId="BANK1", remoteFilename="out/x") == "remoteFilename"
    assert receive(partner="BANK1") == "path" and receive(partner="BANK1", virtualFile=7) == "virtualFile"
    assert [t["filename"] for t in api.get("/api/v1/transfers").json["content"]] == ["out/twice"]


def test_who_is_called_and_who_calls(api, bank):
    """PeSIT Wizard's requests have both: server is who is called, partnerId is us."""
    sent = api.post("/api/v1/transfers/send?server=BANK1&partnerId=COMPANY&remoteFilename=out/w", b"x")
    assert sent.status == 202 and wait(api, sent.json["transferId"])["partnerId"] == "BANK1", sent
    asked = api.post("/api/v1/transfers/receive", {"server": "BANK1", "partnerId": "COMPANY", "remoteFilename": "releves/w",
                                                   "filename": "/var/lib/here"})
    assert asked.status == 202 and (asked.json["partnerId"], asked.json["filename"]) == ("BANK1", "releves/w"), asked


def test_unknown_partner_leaves_nothing(api, company):
    answer = api.post("/api/v1/transfers/send?partner=NOBODY&path=out/x", b"x" * 3_000_000)
    assert answer.status == 404 and answer.json["type"] == "urn:pesitfs:problem:not-found"
    assert api.post("/api/v1/transfers/send?partner=BANK1", b"x").json["field"] == "path"
    assert list((company.folder / "spool/staging").iterdir()) == []


def test_cancel_and_retry_act_on_what_waits(api, bank):
    port = bank.port
    bank.stop()
    sent = api.post("/api/v1/transfers/send?partner=BANK1&path=out/late", b"late").json["transferId"]
    cancelled = api.post("/api/v1/transfers/%d/cancel" % sent)
    assert cancelled.status == 202, cancelled
    wait(api, sent, "cancelled")
    assert api.post("/api/v1/transfers/%d/cancel" % sent).status == 409
    bank.config.write_text(bank.config.read_text(encoding="utf-8").replace(
        'listeners = ( { address = "127.0.0.1"; port = 0;',
        'listeners = ( { address = "127.0.0.1"; port = %d;' % port), encoding="utf-8")
    bank.start()
    assert api.post("/api/v1/transfers/%d/retry" % sent).status == 202
    wait(api, sent)
    assert bank.received("in/late") == b"late"


def test_list_pages_and_filters(api):
    for i in range(7):
        wait(api, api.post("/api/v1/transfers/send?partner=BANK1&path=out/p%d" % i, b"x").json["transferId"])
    seen, before = [], ""
    while True:
        page = api.get("/api/v1/transfers?size=3" + before).json
        seen += [t["filename"] for t in page["content"]]
        if "next" not in page:
            break
        before = "&before=%d" % page["next"]
    assert seen == ["out/p%d" % i for i in range(6, -1, -1)]
    assert len(api.get("/api/v1/transfers?text=p3&status=COMPLETED").json["content"]) == 1
    assert api.get("/api/v1/transfers?partner=OTHER").json["content"] == []
    assert api.get("/api/v1/transfers?from=2099-01-01").json["content"] == []
    assert api.get("/api/v1/transfers?status=WRONG").json["field"] == "status"
    assert api.get("/api/v1/transfers?status=INTERRUPTED,PENDING").json["content"] == []
    assert api.get("/api/v1/transfers?size=0").json["field"] == "size"
    assert api.get("/api/v1/transfers/stats").json["completedTransfers"] == 7


def test_lists_come_in_the_order_that_is_asked_for(api, company):
    for name, size in (("b", 30), ("a", 10), ("d", 20), ("c", 10)):
        assert api.post("/api/v1/transfers/send?partner=BANK1&path=offer/" + name, b"x" * size).status == 202

    def names(query):
        answer = api.get("/api/v1/transfers?" + query)
        assert answer.status == 200, answer
        return "".join(t["filename"][-1] for t in answer.json["content"])

    assert names("sortBy=fileSize&sortDir=asc") == "acdb" and names("sortBy=fileSize") == "bdca"
    assert names("sortBy=filename&sortDir=asc") == "abcd" and names("sortDir=asc") == "badc" and names("") == "cdab"
    assert names("sortBy=filename&size=3") == "dcb" and names("sortBy=filename&size=3&page=1") == "a" and names("sortBy=filename&size=3&page=2") == ""
    assert api.get("/api/v1/transfers?sortBy=filename&size=3").json["totalElements"] == 4
    assert names("sortBy=filename&text=offer/a") == "a"
    company.stop()
    columns = "direction, state, partner, path, file_name, file_type, transfer_id, size_bytes, wire_bytes, articles, mode, mtime_us, created_us, updated_us, " \
        "finished_us, attempts, next_retry_us, diag_type, diag_code, cause, offer_id, hidden, data_kept, end_sent, name_counter, owner"
    for _ in range(10):  # 4096 of them
        company.sql("INSERT INTO transfer_history (%s) SELECT %s FROM transfer_history" % (columns, columns))
    company.start()
    for query in ("", "&text=nowhere"):  # too many to sort, too many to look at
        many = Api(company, index=-1).get("/api/v1/transfers?sortBy=fileSize" + query)
        assert many.status == 400 and many.json["field"] == "sortBy" and "from" in many.json["detail"]
    assert Api(company, index=-1).get("/api/v1/transfers?sortBy=fileSize&text=nowhere&direction=receive").json["totalElements"] == 0
    assert len(Api(company, index=-1).get("/api/v1/transfers?size=1000").json["content"]) == 1000


def read_events(response, wanted):
    text = b""
    while text.count(b"\nevent: transfer\ndata: ") < wanted:  # beside progress
        text += response.read1(4096)
    return text.decode()


def test_events_are_told_and_resumed(api):
    connection = api.connect(10)
    connection.request("GET", "/api/v1/events", headers={"X-API-Key": api.key})
    response = connection.getresponse()
    for name in "de":
        wait(api, api.post("/api/v1/transfers/send?partner=BANK1&path=out/" + name, b"x").json["transferId"])
    first = read_events(response, 6)
    assert '"state":"done"' in first and '"path":"out/e"' in first
    ids = re.findall(r"^id: (\d+)$", first, re.M)
    connection.close()
    connection = api.connect(10)
    connection.request("GET", "/api/v1/events", headers={"X-API-Key": api.key, "Last-Event-ID": ids[0]})
    again = read_events(connection.getresponse(), 1)
    assert re.findall(r"^id: (\d+)$", again, re.M)[0] == ids[1]
    connection.close()


def test_how_far_it_is_is_told(api, bank, company, tmp_path):
    with open(tmp_path / "big", "wb") as file:
        file.truncate(1_500_000_000)
    other = Api(bank).post("/api/v1/apikeys", {"name": "o", "role": "partner", "partner": "ELSE"}).json["key"]
    streams = []
    for one in (api, Api(bank), Api(bank, other)):
        connection = one.connect(20)
        connection.request("GET", "/api/v1/events", headers={"X-API-Key": one.key})
        streams.append(connection.getresponse())
    sent = company.control("send", "BANK1", tmp_path / "big", "out/big", "--no-wait")["id"]
    for stream in streams[:2]:
        text = ""
        while not re.search(r'^event: progress\ndata: {.*"bytesTransferred":[1-9]\d{6,}.*}$', text, re.M):
            text += stream.read1(65536).decode()
            assert "alive" not in text, text
        told = json.loads(re.findall(r"^event: progress\ndata: (.*)$", text, re.M)[-1])
        assert 0 < told["bytesTransferred"] <= 1_500_000_000 and "id: " not in text[text.index("event: progress"):].split("\n\n", maxsplit=1)[0]
    assert told["partnerId"] == "COMPANY"
    there = Api(bank).get("/api/v1/transfers/%d" % told["transferId"]).json
    assert there["state"] == "running" and there["bytesTransferred"] >= told["bytesTransferred"]
    assert Api(bank).get("/api/v1/status").json["running"] == 1
    assert api.post("/api/v1/transfers/%d/cancel" % sent).status == 202
    wait(api, sent, "cancelled")
    streams[2].fp.raw._sock.settimeout(0.5)  # nothing of somebody else's
    assert b"progress" not in streams[2].read1(65536)


def test_numbers_of_each_day(api, company, bank):
    daily = "/api/v1/transfers/stats/daily"
    assert api.get(daily).json == []
    sent = [api.post("/api/v1/transfers/send?partner=BANK1&path=out/d%d" % i, b"12345").json["transferId"] for i in range(3)]
    for one in sent:
        wait(api, one)
    wait(api, api.post("/api/v1/transfers/receive", {"partner": "BANK1", "path": "releves/nothing"}).json["transferId"], "failed")
    today = api.get(daily + "?days=1").json
    assert [(row["totalTransfers"], row["completedTransfers"], row["failedTransfers"], row["totalBytesTransferred"]) for row in today] == [(4, 3, 1, 15)]
    company.stop()
    company.sql("UPDATE transfer_history SET created_us = created_us - 2 * 86400000000 WHERE id = %d" % sent[0])
    company.start()
    again = Api(company, index=-1)
    rows = again.get(daily + "?partnerId=BANK1").json
    assert [row["totalTransfers"] for row in rows] == [1, 3] and rows[0]["date"] < rows[1]["date"] == today[0]["date"], rows
    assert [row["totalTransfers"] for row in again.get(daily + "?days=2").json] == [3] and again.get(daily + "?partner=ELSE").json == []
    assert again.get(daily + "?days=0").json["field"] == again.get(daily + "?days=367").json["field"] == "days"


def read_metrics(node):
    return dict(re.findall(r"^(pesit_\S+) (\S+)$", Api(node).get("/metrics").body.decode(), re.M))


def test_metrics_say_what_happened(api, bank):
    for i in range(3):
        wait(api, api.post("/api/v1/transfers/send?partner=BANK1&path=out/m%d" % i, FILE).json["transferId"])
    asked = api.post("/api/v1/transfers/receive", {"partner": "BANK1", "path": "releves/nothing"}).json["transferId"]
    wait(api, asked, "failed")
    there, here = read_metrics(bank), read_metrics(api.node)
    assert (there['pesit_transfers_total{state="done"}'], here['pesit_transfers_total{state="done"}']) == ("3", "3")
    assert int(there['pesit_wire_bytes_total{direction="in"}']) > 3 * len(FILE)
    assert int(here['pesit_wire_bytes_total{direction="out"}']) == int(there['pesit_wire_bytes_total{direction="in"}'])
    assert int(there['pesit_connections_total{direction="in"}']) >= 1
    assert int(there["pesit_store_commit_seconds_count"]) >= 6
    assert float(there["pesit_transfers_running"]) == 0
    fpdus = [[int(numbers['pesit_fpdus_total{direction="%s"}' % way]) for way in ("in", "out")] for numbers in (there, here)]
    assert fpdus[0] == fpdus[1][::-1] and min(fpdus[0]) > 3 * 6 and fpdus[0][0] > 3 * len(FILE) / 65535
    assert here['pesit_refusals_total{diagnostic="2-205"}'] == there['pesit_refusals_total{diagnostic="2-205"}'] == "1"
    assert here['pesit_partner_transfers_total{partner="BANK1",state="done"}'] == "3"
    assert here['pesit_partner_transfers_total{partner="BANK1",state="failed"}'] == "1"
    assert there['pesit_partner_bytes_total{partner="COMPANY",direction="in"}'] == str(3 * len(FILE))
    assert here['pesit_partner_bytes_total{partner="BANK1",direction="out"}'] == str(3 * len(FILE))
    assert 'pesit_partner_transfers_total{partner="NOBODY",state="done"}' not in here
    wait(api, api.post("/api/v1/transfers/send?partner=BANK1&path=out/long", FILE * 6).json["transferId"])
    made, acknowledged = (int(read_metrics(node)['pesit_sync_points_total{direction="%s"}' % way]) for node, way in ((bank, "in"), (api.node, "out")))
    assert made >= acknowledged >= 3  # seven points, of which four may be open; the last answers are part of the end


def test_metrics_say_what_mounts_do(api, company, bank):
    """Operations and failures of a mount come to its daemon within seconds; the last of them when it ends."""
    mount = Mounted(company).start()
    (mount.path / "BANK1/out/a").write_bytes(b"x" * 3_000_000)
    for _ in range(3):
        with pytest.raises(PermissionError):
            (mount.path / "BANK1/nowhere").write_bytes(b"x")
    waiting.eventually(lambda: int(read_metrics(company)['pesit_mount_operations_total{operation="create"}']) >= 1)
    with pytest.raises(PermissionError):
        (mount.path / "BANK1/out/a").rename(mount.path / "BANK1/out/b")
    mount.stop()
    told = read_metrics(company)
    assert int(told['pesit_mount_operations_total{operation="write"}']) >= 3, told
    assert told['pesit_mount_operations_total{operation="rename"}'] == "1"
    assert int(told.get('pesit_mount_errors_total{errno="EACCES"}', 0)) + int(told.get('pesit_mount_errors_total{errno="EPERM"}', 0)) >= 4, told
    assert bank.received("in/a") == b"x" * 3_000_000


def test_a_file_of_this_machine_is_sent_by_its_path(api, company, bank, tmp_path):
    outbox, other = tmp_path / "outbox", tmp_path / "outbox-other"
    (outbox / "sub").mkdir(parents=True)
    other.mkdir()
    (outbox / "sub/pay.xml").write_bytes(FILE)
    (other / "secret").write_bytes(b"no")
    (outbox / "link").symlink_to(other / "secret")
    send, order = "/api/v1/transfers/send", {"server": "BANK1", "partnerId": "US", "remoteFilename": "out/pay.xml",
                                            "filename": str(outbox / "sub/pay.xml"), "correlationId": "run 7", "chunkSize": 4096}
    refused = api.post(send, order)
    assert (refused.status, refused.json["field"]) == (403, "filename") and "admin.send_directories" in refused.json["detail"]
    company.configure("COMPANY", company.config.read_text(encoding="utf-8").split("\n", 1)[1].replace(
        "admin: {", 'admin: { send_directories = [ "%s/" ];' % outbox))
    company.control("reload")
    before = (outbox / "sub/pay.xml").stat()
    answer = api.post(send, order, Idempotency_Key="seven")
    assert answer.status == 202 and answer.json["ignored"] == ["chunkSize"], answer
    number = answer.json["transferId"]
    sent = wait(api, number)
    assert bank.received("in/pay.xml") == FILE and (sent["correlationId"], sent["serverId"]) == ("run 7", None)
    assert api.post(send, order, Idempotency_Key="seven").json["transferId"] == number
    assert api.post(send, {**order, "filename": str(outbox / "x")}, Idempotency_Key="seven").status == 422
    assert (outbox / "sub/pay.xml").stat().st_mtime_ns == before.st_mtime_ns
    # nothing else can be named, and each time the field is
    for name, status in ((str(other / "secret"), 403), (str(outbox / "link"), 403), (str(outbox / "../outbox-other/secret"), 403),
                         (str(outbox / "none"), 404), (str(outbox / "sub"), 400), ("sub/pay.xml", 403), (str(outbox), 403)):
        answer = api.post(send, {**order, "filename": name})
        assert (answer.status, answer.json.get("field")) == (status, "filename"), (name, answer)
    for change, field in (({"server": "NOBODY"}, "server"), ({"remoteFilename": "nowhere/x"}, "remoteFilename"), ({"colour": 1}, "colour"),
                          ({"password": "x"}, "password"), ({"sourceConnectionId": "s3"}, "sourceConnectionId"), ({"filename": None}, "filename"),
                          ({"correlationId": ""}, "correlationId"), ({"direction": "RECEIVE"}, "direction")):
        answer = api.post(send, {**order, **change})
        assert 400 <= answer.status < 500 and answer.json["field"] == field, (change, answer)
    assert list((company.folder / "spool/staging").iterdir()) == [], "nothing is left of what was refused"
    # the same over the local door, where bytes cannot be uploaded, and by the other path
    again = company.control("api", "POST", send, json.dumps({**order, "remoteFilename": "out/again.xml"}))
    theirs = {"partnerId": "BANK1", "direction": "SEND", "localPath": str(outbox / "sub/pay.xml"), "remotePath": "/out", "fileName": "third.xml"}
    third = api.post("/api/v1/transfers", theirs)
    assert third.status == 202 and third.json["filename"] == "out/third.xml", third
    fourth = api.post("/api/v1/transfers", {**theirs, "remotePath": "/out/fourth.xml", "fileName": "fourth.xml"})
    assert fourth.status == 202 and fourth.json["filename"] == "out/fourth.xml", fourth
    assert wait(api, again["transferId"])["fileSize"] == wait(api, third.json["transferId"])["fileSize"] == len(FILE)


def test_transfers_are_found_by_what_they_belong_to(api, company, bank):
    """A name of the caller's, the session of PeSIT, the listener: which all stay with the transfer, over a restart too."""
    path = "/api/v1/transfers/send?partner=BANK1&correlationId=lot-1&path="
    ids = [api.post(path + "out/%d" % i, b"x", **RAW).json["transferId"] for i in range(3)]
    body, kind = form({"partner": "BANK1", "path": "out/form", "correlationId": "lot-1"}, b"x")
    ids.append(api.post("/api/v1/transfers/send", body, Content_Type=kind).json["transferId"])
    fetched = api.post("/api/v1/transfers/receive", {"partner": "BANK1", "path": "releves/none", "correlationId": "lot-2"}).json
    told = [wait(api, i) for i in ids]
    company.stop()
    api = Api(company.start(), index=-1)
    found = api.get("/api/v1/transfers/correlation/lot-1?size=3").json
    rest = api.get("/api/v1/transfers/correlation/lot-1?before=%d" % found["next"]).json
    assert [t["transferId"] for t in found["content"] + rest["content"]] == sorted(ids, reverse=True) and "next" not in rest
    assert [t["transferId"] for t in api.get("/api/v1/transfers/correlation/lot-2").json["content"]] == [fetched["transferId"]]
    assert api.get("/api/v1/transfers/correlation/lot").json["content"] == []
    session = told[0]["sessionId"]
    of_session = api.get("/api/v1/transfers/session/" + session).json["content"]
    assert told[0]["transferId"] in [t["transferId"] for t in of_session] and {t["sessionId"] for t in of_session} == {session}
    theirs = Api(bank).get("/api/v1/transfers").json["content"][0]
    assert theirs["serverId"] == Api(bank).get("/api/servers").json[0]["serverId"] and theirs["sessionId"]


def test_what_a_listener_moves_now_is_listed(bank):
    api, where = Api(bank), "/api/v1/transfers/active/server/"
    listener = api.get("/api/servers").json[0]["serverId"]
    assert api.get(where + listener).json["content"] == []
    slow = Requester(bank.port)
    slow.connect()
    assert [slow.create("slow").diag, slow.ask("ORF").diag, slow.ask("WRITE").diag] == ["0/000"] * 3
    now = waiting.eventually(lambda: api.get(where + listener).json["content"])
    assert [t["filename"] for t in now] == ["in/slow"] and api.get(where + "other").json["content"] == []
    slow.close()
    waiting.eventually(lambda: api.get(where + listener).json["content"] == [])


def test_what_ended_long_ago_goes_when_it_is_asked_for(api, company):
    """Bytes and rows, of those before it alone, and what is under way stays."""
    ids = [api.post("/api/v1/transfers/send?partner=BANK1&path=out/%d" % i, b"x", **RAW).json["transferId"] for i in range(3)]
    waits = api.post("/api/v1/transfers/send?partner=BANK1&path=offer/x", b"x", **RAW).json["transferId"]
    for number in ids:
        wait(api, number)
    company.stop()
    for column in ("created_us", "finished_us"):
        company.sql("UPDATE transfer_history SET %s = %s - 10 * 86400000000 WHERE id IN (%d, %d, %d)" % (column, column, *ids[:2], waits))
    company.sql("UPDATE transfer_history SET finished_us = 0 WHERE id = %d" % waits)
    api = Api(company.start(), index=-1)
    where = "/api/v1/transfers/cleanup"
    assert [api.post(where + query).json["field"] for query in ("", "?olderThanDays=0", "?olderThanDays=x")] == ["olderThanDays"] * 3
    assert api.post(where + "?olderThanDays=11").status == 202 and api.ask("DELETE", where + "?olderThanDays=9").status == 202

    def left():
        return sorted(t["transferId"] for t in api.get("/api/v1/transfers").json["content"])

    waiting.eventually(lambda: left() == [ids[2], waits], told=lambda: str(left()))
    assert api.get("/api/v1/transfers/%d/download" % ids[2]).body == b"x" == api.get("/api/v1/transfers/%d/download" % waits).body
    spooled = [path for path in (company.folder / "spool").rglob("*") if path.is_file() and path.stat().st_size == 1]
    assert len(spooled) == 2, spooled
    assert api.get("/api/v1/audit/verify").json["valid"]


def test_a_file_that_is_written_while_it_is_sent_is_refused(api, company, bank, tmp_path):
    """However fast somebody writes behind us: what was there at the beginning is read, and then it is seen that there is more."""
    source = tmp_path / "growing"
    source.write_bytes(FILE)
    company.configure("COMPANY", company.config.read_text(encoding="utf-8").split("\n", 1)[1].replace(
        "admin: {", 'admin: { send_directories = [ "%s" ];' % tmp_path))
    company.control("reload")
    order = {"partner": "BANK1", "path": "out/growing", "filename": str(source)}
    ended = threading.Event()

    def write():
        with open(source, "ab", 0) as file:
            while not ended.is_set():
                file.write(FILE[:1_000_000])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        refused = api.post("/api/v1/transfers/send", order)
    finally:
        ended.set()
        writer.join()
    assert (refused.status, refused.json["field"]) == (409, "filename") and "written while it was read" in refused.json["detail"], refused
    assert api.get("/api/v1/transfers").json["content"] == []
    waiting.eventually(lambda: list((company.folder / "spool/staging").iterdir()) == [])
    sent = api.post("/api/v1/transfers/send", order).json["transferId"]
    assert wait(api, sent)["fileSize"] == source.stat().st_size and bank.received("in/growing") == source.read_bytes()


def test_whose_transfer_is_nobody_s_here_is_named(api, company):
    """As after the store of several daemons was restored into a file: there is nobody to pass an order on to."""
    number = api.post("/api/v1/transfers/send?partner=BANK1&path=offer/x", b"x", **RAW).json["transferId"]
    company.stop()
    company.sql("UPDATE transfer_history SET owner = 'gone' WHERE id = %d" % number)
    api = Api(company.start(), index=-1)
    for verb in ("cancel", "hold", "retry"):
        answer = api.post("/api/v1/transfers/%d/%s" % (number, verb))
        if company.store:  # PostgreSQL: nobody takes it
            assert answer.status == 503 and "nothing was done" in answer.json["detail"], answer
            break
        assert answer.status == 409 and "daemon 'gone'" in answer.json["detail"], answer
