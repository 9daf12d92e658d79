defmodule TenonHarness.Cluster do
  @moduledoc """
  What all nodes of one run share: cookie, names that no other run uses, epmd.
  """

  alias TenonHarness.Carrier

  @doc "The cookie of this run, as a string."
  def cookie do
    case :persistent_term.get({__MODULE__, :cookie}, nil) do
      nil ->
        cookie = "harness_" <> random()
        :persistent_term.put({__MODULE__, :cookie}, cookie)
        cookie

      cookie ->
        cookie
    end
  end

  @doc "A node name without its host that nobody else uses."
  def unique(prefix), do: "#{prefix}_#{random()}"

  @doc "A full node name that nobody else uses, at this machine's loopback."
  def unique_node(prefix), do: :"#{unique(prefix)}@#{Carrier.host()}"

  @doc "Makes this virtual machine a node of the cluster."
  def join! do
    unless Node.alive?() do
      if Carrier.epmd?(), do: start_epmd!()
      Carrier.start_node!(unique_node("driver"))
      Node.set_cookie(String.to_atom(cookie()))
    end

    node()
  end

  @doc "Starts epmd where none runs; `env` may name another port for it."
  def start_epmd!(env \\ []) do
    {_output, 0} = System.cmd(epmd(), ["-daemon"], env: env, stderr_to_stdout: true)
    :ok
  end

  @doc "The epmd that belongs to the installed Erlang."
  def epmd do
    beside_erl =
      :code.root_dir() |> to_string() |> Path.join("erts-*/bin/epmd") |> Path.wildcard()

    List.first(beside_erl) || System.find_executable("epmd") || raise "epmd is not installed"
  end

  defp random, do: :crypto.strong_rand_bytes(5) |> Base.encode16(case: :lower)
end
