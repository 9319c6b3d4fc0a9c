import uuid

RANDOM_BITS_MIN = 60


def attack(lab):
    for guess in ("1", "2", "0", "-1", "%2a", "last", "00000000-0000-0000-0000-000000000000"):
        status, _, _ = lab.send("GET", f"/result/{guess}")
        assert status in (404, 422), (guess, status)
    tasks = [uuid.UUID(lab.client.accepted(language="python", source="print(1)")) for _ in range(20)]
    for task in tasks:
        for distance in (-2, -1, 1, 2):
            status, _, _ = lab.send("GET", f"/result/{uuid.UUID(int=task.int + distance)}")
            assert status == 404, "the neighbour of an identifier was found"
    low = [task.int & ((1 << 62) - 1) for task in tasks]
    ones = [sum(value >> bit & 1 for value in low) for bit in range(62)]
    assert sum(0 < count < len(tasks) for count in ones) >= RANDOM_BITS_MIN, "parts of identifiers do not change"
    ordered = sorted(low)
    assert min(b - a for a, b in zip(ordered, ordered[1:])) > 1 << 32, "identifiers are counted"
    for task in tasks:
        lab.client.result(str(task))
