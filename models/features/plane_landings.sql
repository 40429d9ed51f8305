-- One row for each landing: what they amount to is worked out when it is asked for.
select
    tailnum,
    landed_at,
    loaded_at,
    cast(destination as {{ dbt.type_string() }}) as destination,
    departure_delay,
    arrival_delay,
    air_minutes
from {{ ref('stg_flights') }}
where tailnum is not null and landed_at is not null
