"""A Postgres's own extensions in, stand-ins in SQL for two that many apps ask for and its build lacks out."""

from __future__ import annotations

from pathlib import Path

# What other libraries would be needed for is left out: a call of it fails by its name.
SCRIPTS = {
    "uuid-ossp": """
CREATE FUNCTION uuid_generate_v4() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE RETURN gen_random_uuid();
CREATE FUNCTION uuid_nil() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN '00000000-0000-0000-0000-000000000000'::uuid;
CREATE FUNCTION uuid_ns_dns() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid;
CREATE FUNCTION uuid_ns_url() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN '6ba7b811-9dad-11d1-80b4-00c04fd430c8'::uuid;
CREATE FUNCTION uuid_ns_oid() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN '6ba7b812-9dad-11d1-80b4-00c04fd430c8'::uuid;
CREATE FUNCTION uuid_ns_x500() RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN '6ba7b814-9dad-11d1-80b4-00c04fd430c8'::uuid;
""",
    "pgcrypto": """
CREATE FUNCTION digest(bytea, text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN CASE lower($2) WHEN 'md5' THEN decode(md5($1), 'hex') WHEN 'sha224' THEN sha224($1)
    WHEN 'sha256' THEN sha256($1) WHEN 'sha384' THEN sha384($1) WHEN 'sha512' THEN sha512($1) END;
CREATE FUNCTION digest(text, text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN digest(convert_to($1, 'UTF8'), $2);
""",
}
VERSIONS = {"uuid-ossp": "1.1", "pgcrypto": "1.4"}


def stand_ins(programs: Path, folder: Path) -> bool:
    """Writes what the Postgres whose programs lie in `programs` lacks into folder/extension; whether that is any."""
    there = programs.parent / "share" / "extension"
    lacking = [name for name in SCRIPTS if not (there / f"{name}.control").exists()]
    place = folder / "extension"
    for name in lacking:
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
        control = f"comment = 'stand-in of prony'\ndefault_version = '{VERSIONS[name]}'\ntrusted = true\n"
        (place / f"{name}.control").write_text(control + "relocatable = true\n", encoding="utf-8")
        (place / f"{name}--{VERSIONS[name]}.sql").write_text(SCRIPTS[name], encoding="utf-8")
    return bool(lacking)
