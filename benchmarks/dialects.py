"""How PostgreSQL and SQLite make the columns of `filling` out of the number of an event."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What the two databases say differently; `n` is the number of an event."""

    series: str
    moment: str
    id: str
    hour: str
    """Hours since 1970."""
    starts_at: str
    hit_data: str
    confirmation_data: str


POSTGRES = Dialect(
    series="generate_series({first}, {last}) AS series(n)",
    # In floats: a literal with a point is a decimal, many times as slow.
    moment="to_timestamp({start}::float8 + n * {step}::float8)",
    id="('0' || to_hex((({start}::float8 + {at} * {step}::float8) * 1000)::bigint) || '7000' || to_hex({at} + x'{kind}000000000000000'::bigint))::uuid",
    hour="floor(({start}::float8 + n * {step}::float8) / 3600)::bigint",
    starts_at="to_timestamp(hour * 3600)",
    # As text: the function that builds it from values takes twice as long.
    hit_data="""('{{"repeat": ' || (n % 4 = 0) || ', "landing": "/", "device": "mobile", "visitor": "' || {visitor} || '"}}')::jsonb""",
    confirmation_data="jsonb_build_object('confirmation', {confirmation}::text, 'trigger', '{trigger}', 'amount', '12.50',"
    " 'currency', '{currency}', 'reference', 'O-' || n)",
)
SQLITE = Dialect(
    series="(WITH RECURSIVE series(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM series WHERE n < {last}) SELECT n FROM series)",
    moment="(strftime('%Y-%m-%d %H:%M:%f', {start} + n * {step}, 'unixepoch') || '000')",
    id="printf('%012x7000{kind}%015x', CAST(({start} + {at} * {step}) * 1000 AS INTEGER), {at})",
    hour="CAST(({start} + n * {step}) / 3600 AS INTEGER)",
    starts_at="strftime('%Y-%m-%d %H:00:00', hour * 3600, 'unixepoch')",
    hit_data="json_object('repeat', json(CASE n % 4 WHEN 0 THEN 'true' ELSE 'false' END), 'landing', '/', 'device', 'mobile',"
    " 'visitor', {visitor})",
    confirmation_data="json_object('confirmation', {confirmation}, 'trigger', '{trigger}', 'amount', '12.50',"
    " 'currency', '{currency}', 'reference', 'O-' || n)",
)
