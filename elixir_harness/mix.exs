defmodule TenonHarness.MixProject do
  use Mix.Project

  # X3M=hex takes the real x3m_system package from Hex in place of the stand-in in this folder.
  @hex? System.get_env("X3M") == "hex"

  def project do
    [
      app: :tenon_harness,
      version: "0.1.0",
      elixir: "~> 1.10",
      elixirc_paths: elixirc_paths(Mix.env()),
      test_paths: ["test/tenon"],
      deps: deps()
    ] ++ if @hex?, do: [lockfile: "_build/hex.lock"], else: []
  end

  # X3m.System is loaded here and started on the nodes that the tests start, not on their own.
  def application do
    [extra_applications: [:logger, :crypto, :ssl], included_applications: [:x3m_system]]
  end

  defp elixirc_paths(:test), do: ["lib", "test/support"]
  defp elixirc_paths(_env), do: ["lib"]

  defp deps do
    if @hex?, do: [{:x3m_system, "~> 0.9"}], else: [{:x3m_system, path: "x3m_system"}]
  end
end
