defmodule X3m.System.Message do
  @moduledoc """
  What one service says to another. All 18 keys travel with every message.
  """

  alias X3m.System.Response

  @enforce_keys [
    :service_name,
    :id,
    :correlation_id,
    :causation_id,
    :logger_metadata,
    :invoked_at,
    :dry_run,
    :raw_request,
    :request,
    :valid?,
    :assigns,
    :response,
    :events,
    :aggregate_meta,
    :origin_node,
    :reply_to,
    :halted?
  ]
  defstruct @enforce_keys

  @type t :: %__MODULE__{}

  @doc """
  A new message for `service_name`.

  Options: `:id`, `:correlation_id`, `:causation_id`, `:dry_run`, `:reply_to`, `:raw_request`,
  `:logger_metadata`.
  """
  @spec new(atom, keyword) :: t
  def new(service_name, opts \\ []) when is_atom(service_name) do
    id = opts[:id] || gen_msg_id()
    correlation_id = Keyword.get(opts, :correlation_id, id)

    %__MODULE__{
      service_name: service_name,
      id: id,
      correlation_id: correlation_id,
      causation_id: Keyword.get(opts, :causation_id, correlation_id),
      logger_metadata: Keyword.get_lazy(opts, :logger_metadata, &Logger.metadata/0),
      invoked_at: DateTime.utc_now(),
      dry_run: Keyword.get(opts, :dry_run, false),
      raw_request: opts[:raw_request],
      request: nil,
      valid?: true,
      assigns: %{},
      response: nil,
      events: [],
      aggregate_meta: %{},
      origin_node: node(),
      reply_to: Keyword.get_lazy(opts, :reply_to, &self/0),
      halted?: false
    }
  end

  @doc "A new message in the conversation of `cause`. Of the options only `:raw_request` counts."
  @spec new_caused_by(atom, t, keyword) :: t
  def new_caused_by(service_name, %__MODULE__{} = cause, opts \\ []) do
    new(service_name,
      correlation_id: cause.correlation_id,
      causation_id: cause.id,
      raw_request: opts[:raw_request]
    )
  end

  @doc "The same message, same id, for another service."
  @spec to_service(t, atom) :: t
  def to_service(%__MODULE__{} = message, service_name),
    do: %{message | service_name: service_name}

  @spec assign(t, atom, any) :: t
  def assign(%__MODULE__{} = message, key, value) when is_atom(key),
    do: %{message | assigns: Map.put(message.assigns, key, value)}

  @doc "Sets the response. Events have been collected newest first and now get their order."
  @spec return(t, Response.t() | any) :: t
  def return(%__MODULE__{} = message, response) do
    %{message | response: response, halted?: true, events: Enum.reverse(message.events)}
  end

  @spec ok(t) :: t
  def ok(message), do: return(message, Response.ok())

  @spec ok(t, any) :: t
  def ok(message, payload), do: return(message, Response.ok(payload))

  @spec created(t, any) :: t
  def created(message, id), do: return(message, Response.created(id))

  @spec error(t, any) :: t
  def error(message, reason), do: return(message, Response.error(reason))

  @spec put_request(map, t) :: t
  def put_request(%{valid?: false} = request, %__MODULE__{} = message) do
    return(%{message | valid?: false, request: request}, Response.validation_error(request))
  end

  def put_request(%{} = request, %__MODULE__{} = message),
    do: %{message | valid?: true, request: request}

  @spec put_in_raw_request(t, any, any) :: t
  def put_in_raw_request(%__MODULE__{} = message, key, value),
    do: %{message | raw_request: Map.put(message.raw_request || %{}, key, value)}

  @spec add_event(t, any) :: t
  def add_event(%__MODULE__{} = message, nil), do: message

  def add_event(%__MODULE__{} = message, event),
    do: %{message | events: [event | message.events]}

  @doc "Copies the aggregate's id from `raw_request` to `aggregate_meta`, or says that it lacks."
  @spec prepare_aggregate_id(t, any, keyword) :: t
  def prepare_aggregate_id(%__MODULE__{} = message, id_field, opts \\ []) do
    case {Map.get(message.raw_request || %{}, id_field), opts[:generate_if_missing] == true} do
      {nil, true} ->
        id = uuid4()
        message |> put_in_raw_request(id_field, id) |> put_aggregate_id(id)

      {nil, false} ->
        return(message, Response.missing_id(id_field))

      {id, _generate?} ->
        put_aggregate_id(message, id)
    end
  end

  @doc "64 bits of time, 24 bits that tell processes apart, 32 bits of a counter, as base64url."
  @spec gen_msg_id() :: String.t()
  def gen_msg_id do
    Base.url_encode64(
      <<System.system_time(:nanosecond)::64, :erlang.phash2({node(), self()}, 0x1000000)::24,
        :erlang.unique_integer()::32>>
    )
  end

  defp put_aggregate_id(message, id),
    do: %{message | aggregate_meta: Map.put(message.aggregate_meta, :id, id)}

  defp uuid4 do
    <<a::48, _version::4, b::12, _variant::2, c::62>> = :crypto.strong_rand_bytes(16)
    hex = Base.encode16(<<a::48, 4::4, b::12, 2::2, c::62>>, case: :lower)
    <<p1::binary-8, p2::binary-4, p3::binary-4, p4::binary-4, p5::binary-12>> = hex
    Enum.join([p1, p2, p3, p4, p5], "-")
  end
end
