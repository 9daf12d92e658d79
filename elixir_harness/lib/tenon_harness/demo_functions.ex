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
  def offer_late, do: Demo.LateRouter.register_services()

  def write(text) do
    IO.write(text)
  rescue
    ErlangError -> {:error, :terminated}
  end

  def gets(prompt), do: IO.gets(prompt)
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
