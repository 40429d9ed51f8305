{#- A type of whole numbers up to 2^126, whose sum is exact and of that size too. -#}
{% macro wide_integer() -%}
  {{ return(adapter.dispatch('wide_integer', 'featurestore')()) }}
{%- endmacro %}

{% macro default__wide_integer() -%}
  {{ return('decimal(38, 0)') }}
{%- endmacro %}

{% macro duckdb__wide_integer() -%}
  {{ return('hugeint') }}
{%- endmacro %}

{% macro postgres__wide_integer() -%}
  {{ return('numeric') }}
{%- endmacro %}

{% macro redshift__wide_integer() -%}
  {{ return('decimal(38, 0)') }}
{%- endmacro %}

{% macro bigquery__wide_integer() -%}
  {{ return('bignumeric') }}
{%- endmacro %}


{% macro clickhouse__wide_integer() -%}
  {{ return('Nullable(Int256)') }}
{%- endmacro %}


{#- Decimals of 38 digits. -#}
{% macro widest_decimal(scale) -%}
  {{ return(adapter.dispatch('widest_decimal', 'featurestore')(scale)) }}
{%- endmacro %}

{% macro default__widest_decimal(scale) -%}
  {{ return('decimal(38, ' ~ scale ~ ')') }}
{%- endmacro %}

{% macro bigquery__widest_decimal(scale) -%}
  {{ return('bignumeric(38, ' ~ scale ~ ')') }}
{%- endmacro %}

{% macro clickhouse__widest_decimal(scale) -%}
  {{ return('Nullable(Decimal(38, ' ~ scale ~ '))') }}
{%- endmacro %}


{#-
  A floating point number, smaller than 2^42, as a whole number of 2^-64: put together from two integers of 64 bits, because few warehouses
  cast a number of that size exactly.
-#}
{% macro float_units(value) -%}
  {{ return(adapter.dispatch('float_units', 'featurestore')(value)) }}
{%- endmacro %}

{% macro default__float_units(value) -%}
  {%- set wide = featurestore.wide_integer() -%}
  {%- set coarse = value ~ ' * ' ~ featurestore._double('2048') -%}
  {%- set rest = '(' ~ coarse ~ ' - floor(' ~ coarse ~ ')) * ' ~ featurestore._double('9007199254740992') -%}
  {{ return(
    'cast(cast(' ~ featurestore.whole_number(coarse) ~ ' as ' ~ wide ~ ') * cast(9007199254740992 as ' ~ wide ~ ')'
    ~ ' + cast(' ~ featurestore.whole_number(rest) ~ ' as ' ~ wide ~ ') as ' ~ wide ~ ')'
  ) }}
{%- endmacro %}

{% macro duckdb__float_units(value) -%}
  {{ return('cast(floor(' ~ value ~ ' * ' ~ featurestore._double('1.8446744073709552e19') ~ ') as hugeint)') }}
{%- endmacro %}


{#- A float without its fraction, as an integer of 64 bits. Whether it is one of that size is for a CASE around it to ask. -#}
{% macro whole_number(value) -%}
  {{ return(adapter.dispatch('whole_number', 'featurestore')(value)) }}
{%- endmacro %}

{% macro default__whole_number(value) -%}
  {{ return('cast(floor(' ~ value ~ ') as ' ~ featurestore.type_int64() ~ ')') }}
{%- endmacro %}

{#- There, CASE computes the branches that it does not take, too. -#}
{% macro clickhouse__whole_number(value) -%}
  {{ return('accurateCastOrNull(floor(' ~ value ~ "), 'Int64')") }}
{%- endmacro %}


{#- Integers of 64 bits, or null. Not called as dbt calls its own, which would find this one where this package is the project that is built. -#}
{% macro type_int64() -%}
  {{ return(adapter.dispatch('type_int64', 'featurestore')()) }}
{%- endmacro %}

{% macro default__type_int64() -%}
  {{ return(dbt.type_bigint()) }}
{%- endmacro %}

{% macro clickhouse__type_int64() -%}
  {{ return('Nullable(Int64)') }}
{%- endmacro %}
