select
    {{ dbt.dateadd('hour', -2, 'scheduled_departure_at') }} as event_timestamp,
    tailnum,
    carrier,
    origin,
    flight_number,
    destination,
    distance_miles,
    departure_delay as dep_delay
from {{ ref('stg_flights') }}
where departure_delay is not null
