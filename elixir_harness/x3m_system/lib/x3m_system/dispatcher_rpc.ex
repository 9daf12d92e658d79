defmodule X3m.System.Dispatcher.Rpc do
  @moduledoc false
  # The dispatcher of 0.9.0: the dispatching process makes the call itself and crashes when it fails.

  alias X3m.System.{Message, Response}

  def dispatch(providers, %Message{} = message, timeout) do
    call(Enum.random(providers), message)
    wait(message, timeout)
  end

  def authorized?(providers, message, _opts) do
    case Enum.random(providers) do
      {:local, router} -> router.authorized?(message)
      {node, router} -> :rpc.call(node, router, :authorized?, [message])
    end
  end

  defp call({:local, router}, message) do
    spawn(fn -> :ok = apply(router, message.service_name, [message]) end)
  end

  defp call({node, router}, message) do
    :ok = :rpc.call(node, router, message.service_name, [message])
  end

  defp wait(%Message{id: id} = message, timeout) do
    receive do
      %Message{id: ^id} = reply -> reply
    after
      timeout ->
        Message.return(message, Response.service_timeout(message.service_name, id, timeout))
    end
  end
end
