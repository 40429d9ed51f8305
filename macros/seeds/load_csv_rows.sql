{#-
  On a Spark of this machine the rows of a seed are read from the file itself: dbt-spark would write each of them into the text of an
  INSERT, which Spark reads slowly. dbt takes this for its own `load_csv_rows` in the project that it is the root of, and in no other.
-#}
{% macro spark__load_csv_rows(model, agate_table) -%}
  {%- if not run_query('set spark.master').columns[1].values()[0].startswith('local') -%}
    {{ return(dbt.spark__load_csv_rows(model, agate_table)) }}
  {%- endif -%}
  {%- set types = model['config'].get('column_types', {}) -%}
  {%- set lines = model['alias'] ~ '__csv' -%}
  {%- set path = model['root_path'] ~ '/' ~ model['original_file_path'] -%}
  {% do run_query(
    "create or replace temporary view " ~ lines ~ " using csv options (path '" ~ path ~ "', header 'true', escape '\"', multiLine 'true')"
  ) %}
  {%- set sql -%}
    insert into {{ this.render() }}
    select
    {%- for name in agate_table.column_names %}
      cast(`{{ name }}` as {{ types.get(name, adapter.convert_type(agate_table, loop.index0)) }})
      {%- if not loop.last %},{% endif %}
    {%- endfor %}
    from {{ lines }}
  {%- endset -%}
  {% do adapter.add_query(sql) %}
  {% do run_query('drop view ' ~ lines) %}
  {{ return(sql) }}
{%- endmacro %}
