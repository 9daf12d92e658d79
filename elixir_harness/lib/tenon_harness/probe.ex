# The functions of probe.so as a BEAM module: what a BEAM provider offers to compare with, and
# TENON_PEER=beam.
defmodule :probe do
  @moduledoc false
  alias X3m.System.{Dispatcher, Message, ServiceRegistry}

  @doc "Makes a router of this node. `services`: pairs of a binary and whether it is public."
  def register(module, services) do
    module = String.to_atom(module)
    Module.create(module, TenonHarness.Probe.router(services), file: "probe", line: 1)
    :ok = module.register_services()
    {:OK, Enum.map(services, fn _ -> :OK end)}
  end

  @doc "The own and remote providers of the services that are asked about."
  def providers(services) do
    for service <- services, into: %{} do
      case ServiceRegistry.find_nodes_with_service(service) do
        {:local, {router, _function}} -> {service, [{node(), router}]}
        {:remote, nodes} -> {service, Map.to_list(nodes)}
        :not_found -> {service, []}
      end
    end
  end

  def dispatch(message, :default), do: Dispatcher.dispatch(message)
  def dispatch(message, timeout), do: Dispatcher.dispatch(message, timeout: timeout)
  def dispatch_async(message, timeout), do: dispatch(message, timeout)
  def validate(message, :default), do: Dispatcher.validate(message)
  def authorized(message, :default), do: Dispatcher.authorized?(message)

  @doc "The message after operations, `{function of X3m.System.Message, further arguments...}`."
  def change(message, operations) do
    Enum.reduce(operations, message, fn
      {:put_request, request}, message -> Message.put_request(request, message)
      operation, message -> apply_to(message, Tuple.to_list(operation))
    end)
  end

  def new(service, options), do: Message.new(service, Map.to_list(options))

  def new_caused_by(service, parent, raw_request),
    do: Message.new_caused_by(service, parent, raw_request: raw_request)

  defp apply_to(message, [function | args]), do: apply(Message, function, [message | args])
end

defmodule TenonHarness.Probe do
  @moduledoc """
  What the services of `:probe.register/2` do is told by their requests, `{refusals, deed, payload}`: a
  node that is a key of `refusals` asks for another one with that reason, any other does the deed.
  """
  alias X3m.System.{Message, Response}

  @doc false
  def router(services) do
    declared =
      for {name, public?} <- services do
        declare = if public?, do: :service, else: :servicep
        {declare, [], [String.to_atom(name), __MODULE__, :answer]}
      end

    quote do
      @moduledoc false
      use X3m.System.Router
      alias X3m.System.Message
      unquote_splicing(declared)
      def authorize(%Message{assigns: %{deny: reason}}), do: reason
      def authorize(%Message{}), do: :ok
    end
  end

  def answer(%Message{raw_request: {refusals, deed, payload}} = message) do
    case Map.fetch(refusals, node()) do
      {:ok, reason} -> reply(message, Response.error({:try_another_node, reason}))
      :error -> act(deed, message, payload)
    end
  end

  defp act(:ok, message, payload), do: reply(message, Response.ok(payload))
  defp act(:error, message, payload), do: reply(message, Response.error(payload))
  defp act(:created, message, payload), do: reply(message, Response.created(payload))
  defp act(:response, message, payload), do: reply(message, payload)

  defp act(:change, message, payload) do
    message
    |> Message.assign(:probe, payload)
    |> Message.add_event(message.raw_request)
    |> reply(Response.ok())
  end

  defp act(:raise, _message, payload), do: :erlang.error(payload)
  defp act(:throw, _message, payload), do: throw(payload)
  defp act(:exit, _message, payload), do: exit(payload)
  defp act(:silent, _message, _payload), do: :noreply

  defp reply(message, response), do: {:reply, Message.return(message, response)}
end
