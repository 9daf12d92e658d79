# The functions of demo.so as a BEAM module, for TENON_PEER=beam and for comparison.
defmodule :demo do
  @moduledoc false

  def echo(term), do: term

  def sleep(ms) do
    receive do
    after
      ms -> :ok
    end
  end

  def sum(numbers), do: Enum.sum(numbers)
  def sha256(binary), do: :crypto.hash(:sha256, binary)
  def raise(reason), do: :erlang.error(reason)
  def exit(reason), do: :erlang.exit(reason)
  def throw(value), do: :erlang.throw(value)
  def whoami, do: node()

  def global_start(name, method, owner) do
    {:ok, pid} = GenServer.start(TenonHarness.GlobalHolder, owner)
    {pid, global_register(name, pid, method)}
  end

  def global_register(name, pid, method),
    do: :global.register_name(name, pid, method(method))

  def global_reregister(name, pid, method),
    do: :global.re_register_name(name, pid, method(method))

  def global_unregister(name), do: :global.unregister_name(name)
  def global_whereis(name), do: :global.whereis_name(name)
  def global_call(name, request), do: TenonHarness.Wait.call({:global, name}, request)
  def global_names, do: :global.registered_names()
  def global_sync, do: :global.sync()

  def global_set_lock(resource, requester, ms) do
    nodes = [node() | Node.list()]
    :global.set_lock({resource, requester}, nodes, if(ms < 1_000, do: 0, else: 5))
  end

  def global_del_lock(resource, requester), do: :global.del_lock({resource, requester})

  def global_trans(resource, server),
    do: :global.trans({resource, self()}, fn -> TenonHarness.Wait.call(server, resource) end)

  defp method(name), do: :erlang.make_fun(:global, name, 3)
  def offer_late, do: Demo.LateRouter.register_services()

  def write(text) do
    IO.write(text)
  rescue
    ErlangError -> {:error, :terminated}
  end

  def gets(prompt), do: IO.gets(prompt)
end

defmodule TenonHarness.GlobalHolder do
  @moduledoc "What `demo:global_start/3` of demo.so starts, as a BEAM process."
  use GenServer

  @impl GenServer
  def init(owner), do: {:ok, owner}

  @impl GenServer
  def handle_call(request, _from, owner), do: {:reply, request, owner}

  @impl GenServer
  def handle_info(message, owner) do
    send(owner, {:holder, self(), message})
    {:noreply, owner}
  end
end

defmodule TenonHarness.EchoServer do
  @moduledoc "The `:echo` server of demo.so as a BEAM process."
  use GenServer

  @impl GenServer
  def init(_args), do: {:ok, :no_state}

  @impl GenServer
  def handle_call(request, _from, state), do: {:reply, request, state}

  @impl GenServer
  def handle_cast({pid, term}, state) do
    send(pid, term)
    {:noreply, state}
  rescue
    ArgumentError -> {:noreply, state}
  end

  def handle_cast(_other, state), do: {:noreply, state}

  @impl GenServer
  def handle_info(_message, state), do: {:noreply, state}
end
