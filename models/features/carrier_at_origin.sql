with departures as (

    select
        carrier,
        origin,
        departed_at,
        departure_delay,
        {{ dbt.datediff("cast('2013-01-01 00:00:00' as timestamp)", 'departed_at', 'minute') }} as departed_minute,
        case when departure_delay >= 15 then 1 else 0 end as was_late,
        row_number() over (
            partition by carrier, origin
            order by departed_at, scheduled_departure_at, flight_number
        ) as position
    from {{ ref('stg_flights') }}
    where departed_at is not null

),

-- Flights that left in the same minute count together, so every window holds all of them; the last row of a minute is kept. A window is a
-- range of whole minutes, because not every warehouse has windows over intervals.
windows as (

    select
        *,
        count(*) over last_3h as departures_3h,
        sum(departure_delay) over last_3h as departure_delay_3h,
        max(departure_delay) over last_24h as worst_departure_delay_24h,
        avg(was_late) over last_24h as late_share_24h,
        lag(departure_delay, 1) over in_order as delay_before,
        lag(departure_delay, 2) over in_order as delay_before_that,
        lead(departed_at) over in_order as next_departed_at
    from departures
    window
        last_3h as (partition by carrier, origin order by departed_minute range between {{ 3 * 60 }} preceding and current row),
        last_24h as (partition by carrier, origin order by departed_minute range between {{ 24 * 60 }} preceding and current row),
        in_order as (partition by carrier, origin order by position)

)

-- A mean is a sum of integers through their number: that is the same to the last digit on every warehouse, and `avg` is not.
select
    carrier,
    origin,
    departed_at,
    cast(departures_3h as integer) as departures_3h,
    cast(departure_delay_3h as {{ featurestore.type_double() }}) / departures_3h as mean_departure_delay_3h,
    worst_departure_delay_24h,
    {{ featurestore.to_decimal('late_share_24h', 5, 4) }} as late_share_24h,
    {{ dbt.array_construct(['departure_delay', 'delay_before', 'delay_before_that'], 'integer') }} as last_departure_delays
from windows
where next_departed_at is null or next_departed_at > departed_at
