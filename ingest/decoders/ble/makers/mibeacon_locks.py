"""Xiaomi's locks and doors: who opened, how, and what went wrong.

In: the object's bytes and the model. Out: values by name. Source: Xiaomi's "BLE object definition", events of locks.
"""

from ingest.decoders.ble.reading import Values

_ERROR = {
    0xC0DE0000: "frequent unlocking with incorrect password",
    0xC0DE0001: "frequent unlocking with wrong fingerprints",
    0xC0DE0002: "operation timeout (password input timeout)",
    0xC0DE0003: "lock picking",
    0xC0DE0004: "reset button is pressed",
    0xC0DE0005: "the wrong key is frequently unlocked",
    0xC0DE0006: "foreign body in the keyhole",
    0xC0DE0007: "the key has not been taken out",
    0xC0DE0008: "error NFC frequently unlocks",
    0xC0DE0009: "timeout is not locked as required",
    0xC0DE000A: "failure to unlock frequently in multiple ways",
    0xC0DE000B: "unlocking the face frequently fails",
    0xC0DE000C: "failure to unlock the vein frequently",
    0xC0DE000D: "hijacking alarm",
    0xC0DE000E: "unlock inside the door after arming",
    0xC0DE000F: "palmprints frequently fail to unlock",
    0xC0DE0010: "the safe was moved",
    0xC0DE1000: "the battery level is less than 10%",
    0xC0DE1001: "the battery is less than 5%",
    0xC0DE1002: "the fingerprint sensor is abnormal",
    0xC0DE1003: "the accessory battery is low",
    0xC0DE1004: "mechanical failure",
    0xC0DE1005: "the lock sensor is faulty",
}
_ACTION = {
    0: (True, "lock", "unlock outside the door"),
    1: (False, "lock", "lock"),
    2: (False, "antilock", "turn on anti-lock"),
    3: (True, "antilock", "turn off anti-lock"),
    4: (True, "lock", "unlock inside the door"),
    5: (False, "lock", "lock inside the door"),
    6: (False, "childlock", "turn on child lock"),
    7: (True, "childlock", "turn off child lock"),
    8: (False, "lock", "lock outside the door"),
    15: (True, "lock", "abnormal"),
}
_METHOD = {
    0: "bluetooth",
    1: "password",
    2: "biometrics",
    3: "key",
    4: "turntable",
    5: "nfc",
    6: "one-time password",
    7: "two-step verification",
    8: "coercion",
    9: "Homekit",
    10: "manual",
    11: "automatic",
    15: "abnormal",
}
_DOOR = (
    (True, "open the door"),
    (False, "close the door"),
    (True, "timeout, not closed"),
    (False, "knock on the door"),
    (True, "pry the door"),
    (False, "door stuck"),
)
_MATCH = {
    0: "match successful",
    1: "match failed",
    2: "timeout",
    3: "low quality (too light, fuzzy)",
    4: "insufficient area",
    5: "skin is too dry",
    6: "skin is too wet",
}
_ONE_TIME = range(5000, 6000)


def fingerprint(body: bytes) -> Values:
    """Key id (4), result."""
    if len(body) != 5:
        return {}
    number = int.from_bytes(body[:4], "little")
    who: str | int = {0: "administrator", 0xFFFFFFFF: "unknown operator"}.get(number, number)
    values: Values = {"fingerprint": body[4] == 0, "key_id": who}
    return values | ({"result": _MATCH[body[4]]} if body[4] in _MATCH else {})


def door(body: bytes) -> Values:
    """What happened to the door."""
    if body[0] >= len(_DOOR):
        return {}
    is_open, action = _DOOR[body[0]]
    return {"door": is_open, "door_action": action}


def armed(body: bytes, model: str) -> Values:
    """Armed while away; the DSL-C08 says so when its handle is lifted outside."""
    on = not body[0] & 1
    if model == "DSL-C08":
        return {"lock": on, "locktype": "lock", "action": "lock outside the door", "method": "manual"}
    return {"armed_away": on}


def lock(body: bytes, model: str) -> Values:
    """Method and action (4 bits each), key id (4), seconds since 1970."""
    if len(body) != 9 or (body[0] & 15) not in _ACTION or (body[0] >> 4) not in _METHOD:
        return {}
    is_open, kind, action = _ACTION[body[0] & 15]
    method, number = _METHOD[body[0] >> 4], int.from_bytes(body[1:5], "little")
    error = _ERROR.get(number)
    if error is None and body[0] >> 4:  # all keys but Bluetooth's have 16 bits
        number &= 0xFFFF
    if model != "ZNMS17LM":
        kind = "lock"
    if model == "DSL-C08" and method == "password" and number in _ONE_TIME:
        method = "one-time password"
    values: Values = {kind: is_open, "locktype": kind, "action": action, "method": method}
    return values | ({"error": error, "key_id": hex(number)} if error else {"key_id": number})


def attributes(body: bytes, model: str) -> Values:
    """Bits, by model."""
    if len(body) != 1 or model != "DSL-C08":
        return {}
    return {"lock": not body[0] & 1, "childlock": not body[0] >> 3 & 1}
