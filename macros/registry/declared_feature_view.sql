{#-
  What the model under test says about itself as a feature view, so that generic tests need no arguments:
  {name, relation, entity_keys, timestamp, created_timestamp, available_after}. What is said nowhere is none, or an empty list.

  The order is the same as everywhere: config.meta.feature_view, then dbt's own keys (config.event_time, a snapshot's dbt_valid_from),
  then the project-wide defaults in `vars: {featurestore: {defaults: …}}`.
-#}
{% macro declared_feature_view() -%}
  {%- set node = featurestore._tested_node() -%}
  {%- set config = node.get('config') or {} -%}
  {%- set meta = (config.get('meta') or node.get('meta') or {}).get('feature_view') -%}
  {%- set said = meta if meta is mapping else {} -%}
  {%- set defaults = (var('featurestore', {}) or {}).get('defaults') or {} -%}
  {%- set own_timestamp = config.get('event_time') -%}
  {%- if node.get('resource_type') == 'snapshot' -%}
    {%- set own_timestamp = (config.get('snapshot_meta_column_names') or {}).get('dbt_valid_from') or 'dbt_valid_from' -%}
  {%- endif -%}
  {{ return({
    'name': node.get('name'),
    'relation': featurestore._relation_of(node),
    'entity_keys': featurestore._entity_keys(said.get('entities') or said.get('entity') or []),
    'timestamp': said.get('timestamp') or own_timestamp or defaults.get('timestamp'),
    'created_timestamp': said.get('created_timestamp') or defaults.get('created_timestamp'),
    'available_after': said.get('available_after') or defaults.get('available_after'),
  }) }}
{%- endmacro %}


{#- The graph's entry of the model that the running test is attached to; empty while dbt still parses. -#}
{% macro _tested_node() -%}
  {%- if execute and model and model.get('attached_node') -%}
    {{ return(graph.nodes.get(model.attached_node) or {}) }}
  {%- endif -%}
  {{ return({}) }}
{%- endmacro %}


{% macro _relation_of(node) -%}
  {%- if node -%}
    {{ return(api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias)) }}
  {%- endif -%}
  {{ return(none) }}
{%- endmacro %}


{#- The columns that identify a row, from `column`, `[column]` or `{name: column, other: [column, column]}`. -#}
{% macro _entity_keys(entities) -%}
  {%- set keys = [] -%}
  {%- for entity in ([entities] if entities is string else entities) -%}
    {%- set columns = entities[entity] if entities is mapping else entity -%}
    {%- do keys.extend([columns] if columns is string else columns) -%}
  {%- endfor -%}
  {{ return(keys) }}
{%- endmacro %}


{% macro _missing_argument(view, test_name, argument, key) -%}
  {{ exceptions.raise_compiler_error(
    test_name ~ " on " ~ (view.name or 'this model') ~ " needs `" ~ argument ~ "`. Write `" ~ key ~ "` under config.meta.feature_view"
    ~ " of the model, or `arguments: {" ~ argument ~ ": …}` under the test."
  ) }}
{%- endmacro %}
