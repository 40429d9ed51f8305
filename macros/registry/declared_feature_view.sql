{#-
  What the model under test says about itself as a feature view, so that generic tests need no arguments:
  {name, relation, entity_keys, timestamp, created_timestamp, available_after}. What is said nowhere is none, or an empty list.

  The order is the same as everywhere: config.meta.feature_view first; then for the timestamp a snapshot's dbt_valid_from, config.event_time
  and dbt's semantic annotations, for the entity keys those annotations, and for available_after the project's
  `vars: {featurestore: {defaults: …}}`.
-#}
{% macro declared_feature_view() -%}
  {%- set node = featurestore._tested_node() -%}
  {%- set config = node.get('config') or {} -%}
  {%- set meta = (config.get('meta') or node.get('meta') or {}).get('feature_view') -%}
  {%- set said = meta if meta is mapping else {} -%}
  {%- set defaults = (var('featurestore', {}) or {}).get('defaults') or {} -%}
  {%- set valid_from = none -%}
  {%- if node.get('resource_type') == 'snapshot' -%}
    {%- set valid_from = (config.get('snapshot_meta_column_names') or {}).get('dbt_valid_from') or 'dbt_valid_from' -%}
  {%- endif -%}
  {{ return({
    'name': node.get('name'),
    'relation': featurestore._relation_of(node),
    'entity_keys': featurestore._entity_keys(said.get('entities') or said.get('entity')) or featurestore._semantic_entity_keys(node),
    'timestamp': said.get('timestamp') or valid_from or config.get('event_time') or featurestore._semantic_timestamp(node),
    'created_timestamp': said.get('created_timestamp'),
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


{#- The columns that identify a row, from `column` or `{name: column, other: [column, column]}`. -#}
{% macro _entity_keys(entities) -%}
  {%- set keys = [] -%}
  {%- if entities is mapping -%}
    {%- for columns in entities.values() -%}
      {%- do keys.extend([columns] if columns is string else columns) -%}
    {%- endfor -%}
  {%- elif entities -%}
    {%- do keys.append(entities) -%}
  {%- endif -%}
  {{ return(keys) }}
{%- endmacro %}


{#- The key of the entity that dbt's annotations say a row is about: the primary one, else natural, unique, or foreign. -#}
{% macro _semantic_entity_keys(node) -%}
  {%- set found = {} -%}
  {%- for column in (node.get('columns') or {}).values() -%}
    {%- if column.get('entity') is mapping -%}
      {%- do found.setdefault(column.entity.type, []).append(column.name) -%}
    {%- endif -%}
  {%- endfor -%}
  {%- for entity in featurestore._semantic_model(node).get('entities') or [] -%}
    {%- do found.setdefault(entity.type, []).append(entity.get('expr') or entity.name) -%}
  {%- endfor -%}
  {%- for kind in ['primary', 'natural', 'unique', 'foreign'] if found.get(kind) -%}
    {{ return((found[kind] | unique | list)[:1]) }}
  {%- endfor -%}
  {{ return([]) }}
{%- endmacro %}


{#- The column of the aggregation time dimension; dbt v2 writes only which columns are time dimensions. -#}
{% macro _semantic_timestamp(node) -%}
  {%- set semantic = featurestore._semantic_model(node) -%}
  {%- set wanted = node.get('agg_time_dimension') or (semantic.get('defaults') or {}).get('agg_time_dimension') -%}
  {%- for dimension in semantic.get('dimensions') or [] if wanted and dimension.name == wanted -%}
    {{ return(dimension.get('expr') or dimension.name) }}
  {%- endfor -%}
  {%- set times = [] -%}
  {%- for column in (node.get('columns') or {}).values() -%}
    {%- set dimension = column.get('dimension') -%}
    {%- if dimension is mapping and dimension.type == 'time' and (not wanted or dimension.get('name', column.name) == wanted) -%}
      {%- do times.append(column.name) -%}
    {%- endif -%}
  {%- endfor -%}
  {{ return(times[0] if times | length == 1 else wanted) }}
{%- endmacro %}


{#- The entry under `semantic_models` that stands on this model, or an empty one. -#}
{% macro _semantic_model(node) -%}
  {%- for semantic in (graph.get('semantic_models') or {}).values() if node and node.unique_id in semantic.depends_on.nodes -%}
    {{ return(semantic) }}
  {%- endfor -%}
  {{ return({}) }}
{%- endmacro %}


{% macro _missing_argument(view, test_name, argument, key) -%}
  {{ exceptions.raise_compiler_error(
    test_name ~ " on " ~ (view.name or 'this model') ~ " needs `" ~ argument ~ "`. Write `" ~ key ~ "` under config.meta.feature_view"
    ~ " of the model, or `arguments: {" ~ argument ~ ": …}` under the test."
  ) }}
{%- endmacro %}
