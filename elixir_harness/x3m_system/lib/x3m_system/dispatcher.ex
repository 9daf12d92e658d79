defmodule X3m.System.Dispatcher do
  @moduledoc """
  Calls a service wherever it is offered and waits for its reply.
  """

  alias X3m.System.{Dispatcher, Generation, Message, Response, ServiceRegistry}

  @default_timeout_ms 5_000

  @doc "Option `:timeout` in milliseconds, 5000 by default; `:infinity` is allowed."
  @spec dispatch(Message.t()) :: Message.t()
  @spec dispatch(Message.t(), keyword) :: Message.t()
  def dispatch(%Message{halted?: true} = message), do: message
  def dispatch(%Message{} = message), do: dispatch(message, [])

  def dispatch(%Message{} = message, opts) do
    timeout = Keyword.get(opts, :timeout, @default_timeout_ms)
    message = invoked_by_self(message)

    case discover(message.service_name) do
      [] -> Message.return(message, Response.service_unavailable(message.service_name))
      providers -> generation().dispatch(providers, message, timeout)
    end
  end

  @doc "Dispatches as a dry run, unless the message already says what kind of dry run it is."
  @spec validate(Message.t()) :: Message.t()
  def validate(%Message{dry_run: false} = message), do: dispatch(%{message | dry_run: true})
  def validate(%Message{} = message), do: dispatch(message)

  @spec authorized?(Message.t(), keyword) :: boolean | :service_unavailable | any
  def authorized?(%Message{} = message, opts \\ []) do
    message = invoked_by_self(message)

    case discover(message.service_name) do
      [] -> :service_unavailable
      providers -> generation().authorized?(providers, message, opts)
    end
  end

  defp invoked_by_self(message),
    do: %{message | invoked_at: DateTime.utc_now(), reply_to: self()}

  defp discover(service) do
    case ServiceRegistry.find_nodes_with_service(service) do
      :not_found -> []
      {:local, {router, _function}} -> [{:local, router}]
      {:remote, nodes} -> Map.to_list(nodes)
    end
  end

  defp generation do
    case Generation.current() do
      :rpc_0_9_0 -> Dispatcher.Rpc
      :erpc -> Dispatcher.Erpc
    end
  end
end
