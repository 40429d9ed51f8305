select
    tailnum,
    year as built_year,
    manufacturer,
    model,
    engines,
    seats,
    engine as engine_type,
    -- The registry was read once and does not say since when an entry is in it: it counts from the first day of the flights.
    cast('2013-01-01 00:00:00' as timestamp) as recorded_at
from {{ ref('planes') }}
