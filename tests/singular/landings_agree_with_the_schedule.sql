-- A landing is derived from departure, minutes in the air and the clock at the destination. The scheduled arrival plus its delay, which
-- the derivation does not use, must lead to the same clock reading.
with landings as (

    select
        flights.carrier,
        flights.flight_number,
        flights.scheduled_departure_at,
        flights.landed_at,
        source.sched_arr_time,
        {{ featurestore.local_time(dbt.dateadd('minute', '-flights.arrival_delay', 'flights.landed_at'), 'airports.time_zone') }}
            as scheduled_arrival_clock
    from {{ ref('stg_flights') }} as flights
    inner join {{ ref('stg_airports') }} as airports
        on flights.destination = airports.airport
    inner join {{ ref('flights') }} as source
        on
            flights.carrier = source.carrier
            and flights.flight_number = source.flight
            and flights.origin = source.origin
            and flights.scheduled_departure_at = {{ dbt.dateadd('minute', 'source.minute', 'source.time_hour') }}
    where flights.landed_at is not null

)

select *
from landings
where extract(hour from scheduled_arrival_clock) * 100 + extract(minute from scheduled_arrival_clock) <> mod(sched_arr_time, 2400)
