defmodule X3m.System.Dispatcher.Erpc do
  @moduledoc false
  # The dispatcher of the later releases: a relay process for each provider makes the call and takes
  # the reply, so that the caller outlives failures and its mailbox gets no late replies.

  alias X3m.System.{Message, Response}

  @authorize_timeout_ms 5_000

  def dispatch(providers, %Message{} = message, timeout),
    do: try_providers(Enum.shuffle(providers), message, timeout, [])

  def authorized?(providers, message, opts) do
    timeout = Keyword.get(opts, :timeout, @authorize_timeout_ms)

    Enum.reduce_while(providers, nil, fn {node, router}, _failure ->
      case call(node, router, :authorized?, message, timeout) do
        {:returned, answer} -> {:halt, answer}
        {:badrpc, _reason} = failure -> {:cont, {:error, failure}}
      end
    end)
  end

  defp try_providers([{node, router} | others], message, timeout, refusals) do
    case try_provider(node, router, message, timeout) do
      %Message{response: {:error, {:try_another_node, reason}}} = reply ->
        refusals = [{node, reason} | refusals]
        next = %{reply | response: {:error, {:no_nodes_available, refusals}}}
        if others == [], do: next, else: try_providers(others, next, timeout, refusals)

      reply ->
        reply
    end
  end

  defp try_provider(node, router, %Message{} = message, timeout) do
    caller = self()
    tag = make_ref()

    {relay, monitor} =
      spawn_monitor(fn ->
        send(caller, {tag, relay(node, router, %{message | reply_to: self()}, timeout)})
      end)

    receive do
      {^tag, %Message{} = reply} ->
        Process.demonitor(monitor, [:flush])
        %{reply | reply_to: caller}

      {:DOWN, ^monitor, :process, ^relay, reason} ->
        Message.error(message, {:badrpc, {:EXIT, reason}})
    after
      timeout ->
        stop_relay(relay, monitor, tag)
        timed_out(message, timeout)
    end
  end

  defp timed_out(%Message{service_name: service, id: id} = message, timeout),
    do: Message.return(message, Response.service_timeout(service, id, timeout))

  # After the DOWN of a killed relay nothing of it can arrive any more.
  defp stop_relay(relay, monitor, tag) do
    Process.exit(relay, :kill)

    receive do
      {:DOWN, ^monitor, :process, ^relay, _reason} -> :ok
    end

    receive do
      {^tag, _late} -> :ok
    after
      0 -> :ok
    end
  end

  defp relay(node, router, %Message{id: id} = message, timeout) do
    case call(node, router, message.service_name, message, call_timeout(timeout)) do
      {:returned, :ok} ->
        receive do
          %Message{id: ^id} = reply -> reply
        end

      {:returned, other} ->
        Message.error(message, {:badrpc, {:bad_return, other}})

      {:badrpc, _reason} = failure ->
        Message.error(message, failure)
    end
  end

  defp call_timeout(:infinity), do: :infinity
  defp call_timeout(timeout), do: timeout + 1_000

  defp call(:local, router, function, message, timeout),
    do: call(node(), router, function, message, timeout)

  defp call(node, router, function, message, timeout) do
    {:returned, :erpc.call(node, router, function, [message], timeout)}
  catch
    :throw, value -> {:badrpc, {:throw, value}}
    :exit, {:exception, reason} -> {:badrpc, {:EXIT, reason}}
    :exit, {:signal, reason} -> {:badrpc, {:EXIT, reason}}
    :error, {:exception, reason, stack} -> {:badrpc, {:EXIT, {reason, stack}}}
    :error, {:erpc, :noconnection} -> {:badrpc, :nodedown}
    :error, {:erpc, reason} when reason in [:timeout, :notsup] -> {:badrpc, reason}
    :error, {:erpc, reason} -> {:badrpc, {:EXIT, reason}}
  end
end
