defmodule TenonHarness.TermsTest do
  use TenonHarness.NodeCase, async: true
  alias TenonHarness.Terms

  setup_all do
    tenon = start_connected_tenon()
    {:ok, name: tenon.name}
  end

  for {way, index} <- Enum.with_index(["an rpc call", "a call to a server", "a cast"]) do
    test "every kind of term survives #{way}", %{name: name} do
      for {what, term} <- Terms.chosen() do
        back = send_through(unquote(index), name, term)
        assert same?(back, term), "#{what} came back as #{inspect(back, limit: 50)}"
      end
    end
  end

  test "random terms survive the way there and back", %{name: name} do
    seed = seed()
    :rand.seed(:exsplus, seed)

    for n <- 1..500 do
      term = Terms.random()
      back = :erpc.call(name, :demo, :echo, [term])

      unless same?(back, term) do
        flunk("term #{n} of seed #{inspect(seed)} (set TENON_SEED):\n#{inspect({term, back})}")
      end
    end
  end

  test "a big term of 8 MiB survives", %{name: name} do
    term = Enum.map(1..8, fn n -> {n, :binary.copy(<<n>>, 1_048_576)} end)
    assert same?(Wait.call({:echo, name}, term), term)
  end

  test "terms that go through others keep their pids and references", %{name: name} do
    other = start_connected_tenon()
    pid = Node.spawn(other.name, :demo, :sleep, [30_000])
    alien = {pid, make_ref(), self()}
    assert :erpc.call(name, :demo, :echo, [alien]) == alien
    Process.exit(pid, :kill)
  end

  defp send_through(0, name, term), do: :erpc.call(name, :demo, :echo, [term])
  defp send_through(1, name, term), do: Wait.call({:echo, name}, term)

  defp send_through(2, name, term) do
    ref = make_ref()
    GenServer.cast({:echo, name}, {self(), {ref, term}})
    assert_receive {^ref, back}
    back
  end

  # Equal, and no float turned integer or the other way round; 0.0 and -0.0 differ in their bytes.
  defp same?(back, term) do
    back === term and :erlang.term_to_binary(back) == :erlang.term_to_binary(term)
  end

  defp seed do
    case System.get_env("TENON_SEED") do
      nil -> :erlang.unique_integer([:positive]) + System.os_time()
      text -> String.to_integer(text)
    end
  end
end
