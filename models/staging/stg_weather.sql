select
    origin,
    time_hour as observed_hour,
    cast({{ featurestore.to_decimal('temp', 9, 5) }} as {{ featurestore.type_double() }}) as temperature,
    cast({{ featurestore.to_decimal('dewp', 9, 5) }} as {{ featurestore.type_double() }}) as dew_point,
    cast({{ featurestore.to_decimal('humid', 9, 5) }} as {{ featurestore.type_double() }}) as humidity,
    wind_dir as wind_direction,
    -- One reading in the source says 1,048 miles an hour.
    cast({{ featurestore.to_decimal('case when wind_speed < 200 then wind_speed end', 9, 5) }} as {{ featurestore.type_double() }}) as wind_speed,
    cast({{ featurestore.to_decimal('wind_gust', 9, 5) }} as {{ featurestore.type_double() }}) as wind_gust,
    {{ featurestore.to_decimal('precip', 5, 2) }} as precipitation,
    {{ featurestore.to_decimal('pressure', 6, 1) }} as pressure,
    cast({{ featurestore.to_decimal('visib', 9, 5) }} as {{ featurestore.type_double() }}) as visibility
from {{ ref('weather') }}
