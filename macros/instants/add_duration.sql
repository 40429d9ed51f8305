{#- A SQL expression moved on by a duration, written as everywhere else: `7 days`, `1 day 12 hours`, `90m`. -#}
{% macro add_duration(instant, duration) -%}
  {%- set units = {
    'microsecond': 'microsecond', 'us': 'microsecond',
    'millisecond': 'millisecond', 'ms': 'millisecond',
    'second': 'second', 's': 'second',
    'minute': 'minute', 'min': 'minute', 'm': 'minute',
    'hour': 'hour', 'h': 'hour',
    'day': 'day', 'd': 'day',
    'week': 'week', 'w': 'week',
  } -%}
  {%- set text = duration | string | lower | trim -%}
  {%- set moved = namespace(instant=instant) -%}
  {%- if not modules.re.match('^(\\d+\\s*[a-z]+\\s*)+$', text) -%}
    {{ featurestore._no_duration(duration) }}
  {%- endif -%}
  {%- for amount, word in modules.re.findall('(\\d+)\\s*([a-z]+)', text) -%}
    {%- set unit = units.get(word) or units.get(word[:-1] if word.endswith('s') else word) -%}
    {%- if not unit -%}
      {{ featurestore._no_duration(duration) }}
    {%- endif -%}
    {%- set moved.instant = dbt.dateadd(unit, amount | int, moved.instant) | trim -%}
  {%- endfor -%}
  {{ return(moved.instant) }}
{%- endmacro %}


{% macro _no_duration(text) -%}
  {%- if execute -%}
    {{ exceptions.raise_compiler_error(
      "'" ~ text ~ "' is no duration. Write a whole number and a unit, like '7 days', '12 hours' or '90 minutes'."
    ) }}
  {%- endif -%}
{%- endmacro %}
