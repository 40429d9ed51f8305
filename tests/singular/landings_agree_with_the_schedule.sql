-- A landing is derived from departure, minutes in the air and the clock at the destination. The scheduled arrival plus its delay, which
-- the derivation does not use, must lead to the same clock reading.
with landings as (

    select
        landed.carrier,
        landed.flight_number,
        landed.scheduled_departure_at,
        landed.landed_at,
        source.sched_arr_time,
        {{ featurestore.local_time(dbt.dateadd('minute', '-landed.arrival_delay', 'landed.landed_at'), 'airports.time_zone') }}
            as scheduled_arrival_clock
    from {{ ref('stg_flights') }} as landed
    inner join {{ ref('stg_airports') }} as airports
        on landed.destination = airports.airport
    inner join {{ ref('flights') }} as source
        on
            landed.carrier = source.carrier
            and landed.flight_number = source.flight
            and landed.origin = source.origin
            and landed.scheduled_departure_at = {{ dbt.dateadd('minute', 'source.minute', 'source.time_hour') }}
    where landed.landed_at is not null

)

select *
from landings
where extract(hour from scheduled_arrival_clock) * 100 + extract(minute from scheduled_arrival_clock) <> mod(sched_arr_time, 2400)
