-- Delays and durations are in the source; instants are not. See the descriptions in staging.yml for how they are derived and why.
with flights as (

    select
        carrier,
        flight as flight_number,
        tailnum,
        origin,
        dest as destination,
        distance as distance_miles,
        dep_delay as departure_delay,
        arr_delay as arrival_delay,
        air_time as air_minutes,
        -- 830 is 8:30, the 510th minute of the day.
        arr_time - 40 * cast(floor(arr_time / 100) as integer) as arrival_clock_minutes,
        {{ dbt.dateadd('minute', 'minute', 'time_hour') }} as scheduled_departure_at
    from {{ ref('flights') }}

),

departed as (

    select
        *,
        {{ dbt.dateadd('minute', 'departure_delay', 'scheduled_departure_at') }} as departed_at
    from flights

),

-- No flight is on the ground again before this, and none taxied for longer than a day.
earliest as (

    select
        departed.*,
        {{ dbt.dateadd('minute', 'departed.air_minutes', 'departed.departed_at') }} as earliest_landing_at,
        {{ featurestore.local_time(dbt.dateadd('minute', 'departed.air_minutes', 'departed.departed_at'), 'airports.time_zone') }}
            as earliest_landing_clock
    from departed
    left join {{ ref('stg_airports') }} as airports
        on departed.destination = airports.airport

),

landed as (

    select
        *,
        {{ dbt.dateadd(
            'minute',
            'cast(mod(arrival_clock_minutes - cast(extract(hour from earliest_landing_clock) * 60'
            ~ ' + extract(minute from earliest_landing_clock) as integer) + 1440, 1440) as integer)',
            'earliest_landing_at'
        ) }} as landed_at
    from earliest

)

select
    carrier,
    flight_number,
    tailnum,
    origin,
    destination,
    distance_miles,
    scheduled_departure_at,
    departure_delay,
    departed_at,
    air_minutes,
    arrival_delay,
    landed_at,
    {{ dbt.dateadd('hour', 1, dbt.date_trunc('hour', 'landed_at')) }} as loaded_at
from landed
